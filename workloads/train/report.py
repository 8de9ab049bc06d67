#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a model is worth: bits per byte of held-out text beside a trigram model of the same tokens, and the longest
passage of its own words that stands in the training text.

usage: report.py FOLDER BITS SAMPLES    BITS: of the held-out text, by llm-train --evaluate;
                                        SAMPLES: a file of token ids, by llm-train --sample
FOLDER holds what make-model puts there: train.txt, train.tok, held-out.txt, held-out.tok, vocabulary.txt."""

from __future__ import annotations

import array
import math
import sys
from collections import Counter
from pathlib import Path

from tokenizer import BOS, SPACE, Vocabulary


def read_tokens(path: Path) -> list[int]:
    tokens = array.array("H")
    tokens.frombytes(path.read_bytes())
    if sys.byteorder == "big":
        tokens.byteswap()
    return list(tokens)


class Trigram:
    """Interpolated with bigrams, unigrams and a flat distribution by Witten and Bell's weights (1991): a context
    that was followed by t different tokens in n places gives n / (n + t) to what it has seen."""

    def __init__(self, tokens: list[int], vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.grams = [Counter(zip(*(tokens[i:] for i in range(n)))) for n in (1, 2, 3)]
        self.places: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(3)]
        self.followers: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(3)]
        for order, grams in enumerate(self.grams):
            for gram, n in grams.items():
                self.places[order][gram[:-1]] += n
                self.followers[order][gram[:-1]] += 1

    def probability(self, context: tuple[int, ...], token: int) -> float:
        p = 1 / self.vocabulary
        for order in range(min(len(context), 2) + 1):
            seen = context[len(context) - order:]
            n, kinds = self.places[order][seen], self.followers[order][seen]
            if n:
                p = (self.grams[order][seen + (token,)] + kinds * p) / (n + kinds)
        return p

    def bits(self, tokens: list[int]) -> float:
        """Of all but the first token."""
        return sum(-math.log2(self.probability(tuple(tokens[max(0, i - 2):i]), tokens[i])) for i in range(1, len(tokens)))


def decode(ids: list[int], vocabulary: Vocabulary) -> str:
    """A chapter's begin becomes a line's."""
    out = bytearray()
    for i in ids:
        piece = vocabulary.pieces[i]
        if i == BOS:
            out += b"\n"
        elif piece.startswith("<0x"):
            out.append(int(piece[3:5], 16))
        else:
            out += piece.replace(SPACE, " ").encode()
    return out.decode(errors="replace")


def longest_overlap(text: str, training: str) -> str:
    best, start = "", 0
    for end in range(1, len(text) + 1):
        while start < end and text[start:end] not in training:
            start += 1
        if end - start > len(best):
            best = text[start:end]
    return best


def main(folder: Path, bits: float, samples: Path) -> None:
    vocabulary = Vocabulary(folder / "vocabulary.txt")
    held_out = read_tokens(folder / "held-out.tok")
    size = (folder / "held-out.txt").stat().st_size
    trigram = Trigram(read_tokens(folder / "train.tok"), len(vocabulary.pieces)).bits(held_out)
    print(f"held-out: {size} bytes, {len(held_out)} tokens")
    print(f"bits per byte: model {bits / size:.4f}, trigram {trigram / size:.4f}")

    training = (folder / "train.txt").read_text()
    texts = [decode([int(i) for i in line.split()], vocabulary).strip() for line in samples.read_text().splitlines()]
    longest = max((longest_overlap(text, training) for text in texts), key=len)
    print(f"longest overlap of {len(texts)} samples ({sum(map(len, texts))} characters) with the training text: "
          f"{len(longest)} characters, {len(longest.split())} words: \"{longest.strip()}\"")
    print("samples:")
    for text in texts:
        print(f"- {text}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
