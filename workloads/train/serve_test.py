#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A model that llm-train wrote, read by a program that shares no kernel with it: llm-server says the very tokens that
the trainer's own forward pass says. usage: serve_test.py LLM-TRAIN LLM-SERVER"""
from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

VOCABULARY, TOKENS = 512, 40
SHAPE = (f"--vocab {VOCABULARY} --dim 64 --layers 2 --heads 2 --kv-heads 1 --hidden 96 --context 64 --batch 4 "
         "--steps 60 --warmup 4 --rate 0.01").split()


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    if "no OpenCL" in done.stderr:
        print(f"skipped: {done.stderr.strip()}")
        sys.exit(77)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_vocabulary(path: Path) -> None:
    special = ["2 0 <unk>", "3 0 <s>", "3 0 </s>"] + [f"6 0 <0x{b:02X}>" for b in range(256)]
    pieces = [f"1 -{i} \u2581w{i}" for i in range(VOCABULARY - len(special))]
    path.write_text("\n".join(special + pieces) + "\n")


def main(train: str, server: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = (train, *SHAPE, "--checkpoint", str(folder / "run"))
        write_vocabulary(folder / "vocabulary")
        output(*run)
        output(*run, "--vocabulary", str(folder / "vocabulary"), "--type", "f32", "--export", str(folder / "model.gguf"))
        own = output(*run, "--sample", str(TOKENS), "--temperature", "0").splitlines()[0].split()
        served = output(server, "--model", str(folder / "model.gguf"), "--prompt", "", "--tokens", str(TOKENS), "--ids").split()
    assert len(own) == TOKENS
    assert len(set(own)) > 5, f"too dull a text to tell models apart: {own}"
    assert own == served, f"trainer: {own}\nserver:  {served}"
    print("ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
