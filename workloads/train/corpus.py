#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The text to learn from: the King James Version as Debian packages it, as running prose, a chapter a line.

usage: corpus.py FOLDER    writes FOLDER/train.txt and FOLDER/held-out.txt (every twentieth chapter)

Needs the packages bible-kjv (the program that prints the text) and bible-kjv-text (the text; public domain:
"expired since the translation was done in 1611", says its copyright file). BIBLE and BIBLE_DATA name the
program and the folder of bible.data where they are not installed but unpacked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HELD_OUT_EVERY = 20
WHOLE_BIBLE = "gen1:1-rev22:21"


def print_text() -> str:
    command = [os.environ.get("BIBLE", "bible"), "-l9999", WHOLE_BIBLE]
    if "BIBLE_DATA" in os.environ:
        command[1:1] = ["-p", os.environ["BIBLE_DATA"]]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return done.stdout


def chapters(text: str) -> list[str]:
    """A verse is "  12 And it came to pass"; a heading "1 Samuel 1", not indented, begins a chapter."""
    found: list[list[str]] = []
    for line in text.splitlines():
        verse = re.fullmatch(r"\s+\d+\s+(\S.*?)\s*", line)
        if verse:
            found[-1].append(verse[1])
        elif re.fullmatch(r"\S.*\s\d+", line):
            found.append([])
    return [" ".join(verses) for verses in found if verses]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = chapters(print_text())
    held_out = text[HELD_OUT_EVERY - 1::HELD_OUT_EVERY]
    train = [chapter for i, chapter in enumerate(text, 1) if i % HELD_OUT_EVERY]
    for name, part in (("train", train), ("held-out", held_out)):
        (folder / f"{name}.txt").write_text("\n".join(part) + "\n")
        print(f"{name}: {len(part)} chapters, {sum(map(len, part))} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
