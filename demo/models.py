# SPDX-License-Identifier: Apache-2.0
"""The models that the VM serves, each by a server of its own, and what their clients ask."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import disk, model, overlay

SEED = 7
SERVER = "workloads/llm/llm-server"
DISK_OVERHEAD = 32 << 20  # of a file system, at most
KJV = model.ROOT / "workloads/models/ferry-kjv.gguf"


@dataclass(frozen=True)
class Requests:
    """Completion requests, one after another on one connection for as long as it lasts. The prompts come in
    turn; request N is sampled with seed + N, so that the whole stream can be had again bit for bit."""
    prompts: tuple[str, ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = SEED

    def body(self, number: int) -> dict[str, Any]:
        return {"prompt": self.prompts[number % len(self.prompts)], "max_tokens": self.max_tokens, "stream": True,
                "temperature": self.temperature, "top_p": self.top_p, "seed": self.seed + number}

    def fields(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Model:
    name: str
    port: int
    readable: bool  # its text is shown
    requests: Requests
    options: tuple[str, ...]  # of llm-server
    file: Path | None = None  # the GGUF file, or None for made-up weights
    on_disk: bool = False  # the guest has the file on its disk, else in its RAM
    pace: int = 0  # tokens a second at most, for those who read along; 0: as fast as it goes

    def title(self) -> str:
        what = self.file.name if self.file else " ".join(self.options)
        return f"the {self.name} model ({what})"

    @property
    def in_guest(self) -> str:
        """Where the guest has the file."""
        return "/mnt/model.gguf" if self.on_disk else "/root/model.gguf"

    def argv(self, program: str, file: str, listen: str) -> list[str]:
        source = ["--model", file] if self.file else []
        return [program, *source, *self.options, "--listen", listen]


# The openings are the readable model's own. A request stays within its context: beyond it the model goes in circles.
TEXT = Requests(
    ("And it came to pass", "Now there was a man", "Blessed is he that", "Then said the king",
     "Hear, O my son, and", "And the angel said unto", "In the morning they went", "Woe unto them that"),
    max_tokens=160, temperature=0.7, top_p=0.95)

# Enough of a cache that what a conversation left there is not soon displaced by the stream.
READABLE = Model("readable", 8001, True, TEXT, ("--cache", "4096"), KJV, pace=20)


def published(file: Path) -> Model:
    """Somebody's GGUF file, in place of both models: big and readable."""
    return Model("published", 8000, True, TEXT, ("--context", "1024", "--cache", "2048"), file, on_disk=True, pace=20)


def synthetic(size: str) -> Model:
    """Real shapes and real work, made-up words; greedy, one endless request."""
    return Model("synthetic", 8000, False, Requests(("the ferry leaves at noon and the",), max_tokens=1000000),
                 ("--synthetic", size, "--shape", "llama-3.1-8b", "--seed", str(SEED)))


def guest_files(folder: Path, models: tuple[Model, ...]) -> Path:
    """The files added to the guest: the server, small models' files, and the script that starts all at boot."""
    root = overlay.build(folder, (SERVER,), {m.in_guest[1:]: m.file for m in models if m.file and not m.on_disk})
    lines = ["#!/bin/sh"]
    for m in models:
        pace = ["--pace", str(m.pace)] if m.pace else []
        lines.append(" ".join(m.argv("llm-server", m.in_guest, f"0.0.0.0:{m.port}") + pace) + " &")
    start = root / "etc/ferry/start"
    start.parent.mkdir(parents=True)
    start.write_text("\n".join([*lines, "wait"]) + "\n")
    start.chmod(0o755)
    return root


def guest_disk(folder: Path, models: tuple[Model, ...]) -> Path | None:
    """A disk image with the file of a model that is too big for the guest's RAM; None when there is none."""
    file = next((m.file for m in models if m.file and m.on_disk), None)
    if not file:
        return None
    path, tree = folder / "model.img", folder / "disk"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    shutil.copy(file, tree / "model.gguf")
    disk.make(path, tree, file.stat().st_size * 17 // 16 + DISK_OVERHEAD)
    shutil.rmtree(tree)
    return path


def server_program() -> Path:
    return model.ROOT / "build/release" / SERVER
