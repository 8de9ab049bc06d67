#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""llm-train as a person runs it: the same seed gives the same curve bit for bit, also when a run stops and
goes on from its checkpoint; the loss falls; what it cannot go on from it refuses. usage: run_test.py LLM-TRAIN"""
from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TINY = ("--dim 64 --layers 2 --heads 2 --kv-heads 1 --hidden 96 --vocab 64 --context 64 --batch 4 "
        "--steps 40 --warmup 4 --rate 0.01").split()
PROGRAM = ""


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *TINY, *options], capture_output=True, text=True, timeout=50)


def curve(*options: str) -> list[str]:
    """Steps with loss and norm, in digits that tell any two floats apart."""
    done = run(*options)
    assert done.returncode == 0, done.stderr
    return [m[0] for m in re.finditer(r"step \d+ loss \S+ norm \S+", done.stdout)]


class RunTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def checkpoint(self, name: str) -> tuple[str, str]:
        return "--checkpoint", str(self.folder / name)

    def test_same_seed_same_curve_and_the_loss_falls(self) -> None:
        first = curve()
        self.assertEqual(len(first), 40)
        self.assertEqual(first, curve())
        self.assertNotEqual(first[0], curve("--seed", "2", "--stop-at", "1")[0])
        losses = [float(line.split()[3]) for line in first]
        self.assertLess(losses[-1], 0.8 * losses[0])

    def test_a_run_that_stopped_goes_on_as_if_it_had_not(self) -> None:
        whole = curve(*self.checkpoint("whole"))
        parts = [curve(*self.checkpoint("parts"), "--stop-at", at) for at in ("7", "8", "40")]
        self.assertEqual([len(p) for p in parts], [7, 1, 32])
        self.assertEqual(sum(parts, []), whole)
        self.assertEqual((self.folder / "whole").read_bytes(), (self.folder / "parts").read_bytes())
        self.assertEqual(curve(*self.checkpoint("parts")), [])

    def test_what_it_does_not_go_on_from(self) -> None:
        curve(*self.checkpoint("good"), "--stop-at", "1")
        good = (self.folder / "good").read_bytes()
        cases = {
            "another seed or schedule; its own: --seed 1 --steps 40": (good, ("--seed", "2")),
            "another shape; its own: --dim 64 --layers 2": (good, ("--layers", "1")),
            "ends too early": (good[:-1], ()),
            "longer than it should be": (good + b"x", ()),
            "not a checkpoint": (b"GGUF" + good[4:], ()),
        }
        for reason, (content, options) in cases.items():
            (self.folder / "bad").write_bytes(content)
            done = run(*self.checkpoint("bad"), *options)
            self.assertEqual(done.returncode, 1, reason)
            self.assertIn(reason, done.stderr)

    def test_texts_that_it_does_not_read(self) -> None:
        text = self.folder / "text"
        for content, reason in ((b"\1\0" * 64, "64 tokens, needs more than 64"), (b"\1\0" * 99 + b"\x40\0", "token 99 is 64, not below 64"),
                                (b"\1\0" * 99 + b"\1", "199 bytes are no 16-bit tokens")):
            text.write_bytes(content)
            done = run("--text", str(text))
            self.assertEqual(done.returncode, 1)
            self.assertIn(reason, done.stderr)

    def test_bad_options_are_told(self) -> None:
        for options in (("--dim", "2x"), ("--steps", "0"), ("--batch", "1.5"), ("--sample", "3"), ("--type", "q3"), ("more",)):
            self.assertEqual(run(*options).returncode, 2, options)
        done = run("--dim", "96")
        self.assertIn("do not share a width of 96", done.stderr)

    def test_a_model_scores_and_speaks(self) -> None:
        """A text that repeats one token is learned by heart."""
        text = self.folder / "text"
        text.write_bytes(b"\7\0" * 500)
        curve("--text", str(text), *self.checkpoint("run"))
        scored = run(*self.checkpoint("run"), "--evaluate", str(text))
        found = re.fullmatch(r"tokens 499 nats \S+ per-token (\S+) bits \S+\n", scored.stdout)
        self.assertIsNotNone(found, scored.stdout + scored.stderr)
        assert found
        self.assertLess(float(found[1]), 0.1)
        said = run(*self.checkpoint("run"), "--sample", "5", "--temperature", "0").stdout.splitlines()
        self.assertEqual(said, ["7 7 7 7 7"] * 4)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    probe = run("--stop-at", "0")
    if "no OpenCL" in probe.stderr:
        print(f"skipped: {probe.stderr.strip()}")
        sys.exit(77)
    unittest.main()
