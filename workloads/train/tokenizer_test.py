#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tokenizer on a text of its own, and the yardsticks that a model is held against."""
from __future__ import annotations

import random
import tempfile
import unittest
from pathlib import Path

from report import Trigram, decode, longest_overlap, read_tokens
from tokenizer import BOS, SPACE, Vocabulary, encode, learn

TEXT = "the man and the men, and the woman's hand.\nthen the hands of the men: and there the band!\n" * 3
SIZE = 3 + 256 + 45


class TokenizerTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        learn(TEXT, SIZE, self.folder / "vocabulary")
        self.vocabulary = Vocabulary(self.folder / "vocabulary")

    def test_a_vocabulary_of_the_size_asked_for_with_frequent_words_whole(self) -> None:
        self.assertEqual(len(self.vocabulary.pieces), SIZE)
        self.assertEqual(len(set(self.vocabulary.pieces)), SIZE)
        self.assertIn(f"{SPACE}the", self.vocabulary.ids)
        learn(TEXT, SIZE, self.folder / "again")
        self.assertEqual((self.folder / "again").read_text(), (self.folder / "vocabulary").read_text())

    def test_a_vocabulary_that_the_text_is_too_small_for(self) -> None:
        for text, size, reason in (("short text\n", 2048, "only .* pieces"), (TEXT, 270, "SIZE 270 is too small")):
            with self.assertRaisesRegex(ValueError, reason):
                learn(text, size, self.folder / "none")

    def test_what_is_encoded_is_decoded(self) -> None:
        for text in (TEXT.splitlines()[0], "then", "the  men", "naïve — ½", "the men, and 7 zebras"):
            self.assertEqual(decode(self.vocabulary.encode(text), self.vocabulary), " " + text)

    def test_splitting_needs_no_rule_but_the_scores(self) -> None:
        """Whole lines joined by score alone, as a reader of the GGUF file does, give the same tokens."""
        for line in TEXT.splitlines():
            self.assertEqual(self.vocabulary.split(SPACE + line.replace(" ", SPACE)), self.vocabulary.encode(line))

    def test_the_file_has_a_begin_before_each_line(self) -> None:
        encode(TEXT, self.vocabulary, self.folder / "tokens")
        tokens = read_tokens(self.folder / "tokens")
        self.assertEqual(tokens.count(BOS), 6)
        self.assertEqual(decode(tokens, self.vocabulary), "".join("\n " + line for line in TEXT.splitlines()))


class YardstickTest(unittest.TestCase):
    def test_the_trigrams_probabilities_add_up(self) -> None:
        draw = random.Random(1)
        trigram = Trigram([draw.choice((0, 1, 1, 2, 5)) for _ in range(300)], 8)
        for context in ((), (1,), (1, 1), (7, 1), (6, 7)):
            self.assertAlmostEqual(sum(trigram.probability(context, t) for t in range(8)), 1)

    def test_what_was_seen_is_likelier(self) -> None:
        trigram = Trigram([1, 2, 3] * 50, 8)
        self.assertGreater(trigram.probability((1, 2), 3), 0.9)
        self.assertLess(trigram.bits([1, 2, 3] * 10), 0.2 * trigram.bits([3, 2, 1] * 10))

    def test_the_longest_overlap(self) -> None:
        self.assertEqual(longest_overlap("xx the men yy", "and the men, too"), " the men")
        self.assertEqual(longest_overlap("q", "and"), "")


if __name__ == "__main__":
    unittest.main()
