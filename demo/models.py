# SPDX-License-Identifier: Apache-2.0
"""The models that the VM serves, each by a server of its own, and what their clients ask."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import model as lab_model

SEED = 7
KJV = lab_model.ROOT / "workloads/models/ferry-kjv.gguf"
GUEST_MODELS = "usr/share/models"


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
    pace: int = 0  # tokens a second at most, for those who read along; 0: as fast as it goes

    def title(self) -> str:
        what = self.file.name if self.file else " ".join(self.options)
        return f"the {self.name} model ({what})"

    def argv(self, program: str, file: str, listen: str) -> list[str]:
        source = ["--model", file] if self.file else []
        return [program, *source, *self.options, "--listen", listen]


# The openings are the text's own. A request stays within the model's context: beyond it the model goes in circles.
READABLE = Model("readable", 8001, True, Requests(
    ("And it came to pass", "Now there was a man", "Blessed is he that", "Then said the king",
     "Hear, O my son, and", "And the angel said unto", "In the morning they went", "Woe unto them that"),
    max_tokens=160, temperature=0.7, top_p=0.95), ("--cache", "4096"), KJV, pace=20)


def synthetic(size: str) -> Model:
    """Real shapes and real work, made-up words; greedy, one endless request."""
    return Model("synthetic", 8000, False, Requests(("the ferry leaves at noon and the",), max_tokens=1000000),
                 ("--synthetic", size, "--shape", "llama-3.1-8b", "--seed", str(SEED)))


def overlay(folder: Path, models: tuple[Model, ...]) -> Path:
    """The files added to the guest: the server, the models' files, and the script that starts all at boot."""
    root = folder / "overlay"
    shutil.rmtree(root, ignore_errors=True)
    for path in ("usr/bin", "etc/ferry", GUEST_MODELS):
        (root / path).mkdir(parents=True)
    shutil.copy(server_program(), root / "usr/bin")
    lines = ["#!/bin/sh"]
    for m in models:
        if m.file:
            shutil.copy(m.file, root / GUEST_MODELS)
        at = f"/{GUEST_MODELS}/{m.file.name}" if m.file else ""
        pace = ["--pace", str(m.pace)] if m.pace else []
        lines.append(" ".join(m.argv("llm-server", at, f"0.0.0.0:{m.port}") + pace) + " &")
    start = root / "etc/ferry/start"
    start.write_text("\n".join([*lines, "wait"]) + "\n")
    start.chmod(0o755)
    return root


def server_program() -> Path:
    return lab_model.ROOT / "build/release/workloads/llm/llm-server"
