#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The model of this folder is the one that its README describes, and llm-server makes words of it.
usage: model_test.py LLM-SERVER"""
from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL = HERE / "ferry-kjv.gguf"
COMMON = set("a all and be for go he him i in is it let lord not of said shall that the thee them they this thou to unto "
             "up us was which will with ye".split())


def main(server: str) -> None:
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert f"`{digest}`" in (HERE / "README.md").read_text(), f"README.md does not name {digest}"

    done = subprocess.run([server, "--model", str(MODEL), "--prompt", "And God said", "--tokens", "60"],
                          capture_output=True, text=True, timeout=60)
    if "no OpenCL" in done.stderr:
        print(f"skipped: {done.stderr.strip()}")
        sys.exit(77)
    assert done.returncode == 0, done.stderr
    words = re.findall(r"[a-z']+", done.stdout.lower())
    known = sum(word in COMMON for word in words)
    print(f"{known} of {len(words)} words are common ones: And God said{done.stdout}")
    assert len(words) > 30 and 2 * known > len(words)


if __name__ == "__main__":
    main(sys.argv[1])
