#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A tokenizer of the SentencePiece kind, learned by byte-pair encoding (Sennrich et al. 2016).

usage: tokenizer.py learn TEXT SIZE VOCABULARY       pieces and their scores, a line each
       tokenizer.py encode TEXT VOCABULARY TOKENS    a chapter a line to little-endian u16, <s> before each

A vocabulary's line is "TYPE SCORE PIECE"; the types are GGUF's: 1 a piece, 2 unknown, 3 control, 6 a byte.
A space is written as U+2581. A piece holds letters or punctuation, not both, and a space only at its beginning, so
that no other rule is needed to split a text: joining the neighbours whose piece has the highest score, until none
can be joined, gives these tokens, as every reader of tokenizer.ggml.model "llama" does."""

from __future__ import annotations

import array
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

SPACE = "\u2581"
BOS = 1
SEGMENT = re.compile(rf"{SPACE}?[A-Za-z']+|{SPACE}?[^A-Za-z'{SPACE}]+|{SPACE}")

Word = tuple[str, ...]


def escape(text: str) -> str:
    return SPACE + text.replace(" ", SPACE)


def join(word: Word, left: str, right: str) -> Word:
    joined: list[str] = []
    for symbol in word:
        if joined and joined[-1] == left and symbol == right:
            joined[-1] = left + right
        else:
            joined.append(symbol)
    return tuple(joined)


def learn_pieces(counts: Counter[str], number: int) -> list[str]:
    """The pieces of the `number` joins that are the most frequent, one after the other; ties by the alphabet."""
    words = {i: (tuple(w), n) for i, (w, n) in enumerate(sorted(counts.items()))}
    pairs: Counter[tuple[str, str]] = Counter()
    where: defaultdict[tuple[str, str], set[int]] = defaultdict(set)

    def count(i: int, sign: int) -> None:
        word, n = words[i]
        for pair in zip(word, word[1:]):
            pairs[pair] += sign * n
            where[pair].add(i)

    for i in words:
        count(i, 1)
    pieces: list[str] = []
    while len(pieces) < number:
        best, often = max(pairs.items(), key=lambda item: (item[1], item[0]), default=(("", ""), 0))
        if not often:
            raise ValueError(f"the text has only {len(pieces)} pieces to learn, not {number}: a smaller SIZE or more text")
        for i in where.pop(best):
            count(i, -1)
            words[i] = (join(words[i][0], *best), words[i][1])
            count(i, 1)
        del pairs[best]
        if "".join(best) not in pieces:
            pieces.append("".join(best))
    return pieces


def learn(text: str, size: int, out: Path) -> None:
    counts = Counter(s for line in text.splitlines() for s in SEGMENT.findall(escape(line)))
    characters = sorted({c for segment in counts for c in segment})
    special = [(2, 0.0, "<unk>"), (3, 0.0, "<s>"), (3, 0.0, "</s>")] + [(6, 0.0, f"<0x{b:02X}>") for b in range(256)]
    if size <= len(special) + len(characters):
        raise ValueError(f"SIZE {size} is too small: bytes and the text's characters take {len(special) + len(characters)}")
    pieces = learn_pieces(counts, size - len(special) - len(characters))
    rows = special + [(1, -float(rank), piece) for rank, piece in enumerate(pieces + characters)]
    out.write_text("".join(f"{kind} {score:g} {piece}\n" for kind, score, piece in rows))
    print(f"{len(rows)} tokens: {len(pieces)} pieces, {len(characters)} characters")


class Vocabulary:
    def __init__(self, path: Path) -> None:
        self.ids: dict[str, int] = {}
        self.scores: dict[str, float] = {}
        self.pieces: list[str] = []
        self.known: dict[str, list[int]] = {}
        for number, line in enumerate(path.read_text().splitlines()):
            fields = line.split(" ", 2)
            if len(fields) != 3:
                raise ValueError(f'{path}:{number + 1}: no "TYPE SCORE PIECE"')
            kind, score, piece = fields
            self.pieces.append(piece)
            if kind == "1":
                self.ids[piece], self.scores[piece] = number, float(score)

    def split(self, segment: str) -> list[int]:
        symbols = list(segment)
        while True:
            joins = [(self.scores[a + b], -i) for i, (a, b) in enumerate(zip(symbols, symbols[1:])) if a + b in self.ids]
            if not joins:
                break
            i = -max(joins)[1]
            symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
        return [t for s in symbols for t in ([self.ids[s]] if s in self.ids else [3 + b for b in s.encode()])]

    def encode(self, text: str) -> list[int]:
        tokens: list[int] = []
        for segment in SEGMENT.findall(escape(text)):
            if segment not in self.known:
                self.known[segment] = self.split(segment)
            tokens += self.known[segment]
        return tokens


def encode(text: str, vocabulary: Vocabulary, out: Path) -> None:
    tokens = array.array("H")
    for line in text.splitlines():
        tokens.append(BOS)
        tokens.extend(vocabulary.encode(line))
    if sys.byteorder == "big":
        tokens.byteswap()
    out.write_bytes(tokens.tobytes())
    print(f"{len(tokens)} tokens, {len(text.encode()) / len(tokens):.2f} bytes each")


def main() -> None:
    command, *rest = sys.argv[1:] or [""]
    if (command, len(rest)) not in (("learn", 3), ("encode", 3)):
        sys.exit(__doc__.split("\n\n")[1])
    try:
        text = Path(rest[0]).read_text()
        if command == "learn":
            learn(text, int(rest[1]), Path(rest[2]))
        else:
            encode(text, Vocabulary(Path(rest[1])), Path(rest[2]))
    except (OSError, ValueError) as e:
        sys.exit(f"tokenizer.py: {e}")


if __name__ == "__main__":
    main()
