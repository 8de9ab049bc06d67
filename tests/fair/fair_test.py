#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fair_test.py BUILD: two real ferry-vgpus take turns on the device. Shares are compared, not times:
the machine may be busy."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.fair.vgpus import BUSY_AT, BYTES, WAITING_AT, Turns, Vgpu, Work, calibrate, together  # noqa: E402

BUILD = Path(sys.argv[1]).resolve()
FLOOD = (20, 6)  # ms of a kernel, kernels ahead


class FairTest(unittest.TestCase):
    folder: Path
    per_ms: float

    @classmethod
    def setUpClass(cls) -> None:
        held = tempfile.TemporaryDirectory(prefix="ff-")
        cls.addClassCleanup(held.cleanup)
        cls.folder = Path(held.name)
        alone = Vgpu(BUILD, cls.folder, "alone", None)
        cls.per_ms = calibrate(alone)
        alone.close()

    def setUp(self) -> None:
        self.turns = Turns()
        self.addCleanup(self.turns.close)

    def vgpu(self, name: str, share: int = 0) -> Vgpu:
        v = Vgpu(BUILD, self.folder, f"{name}-{self.id().rsplit('.')[-1][:30]}", self.turns, share)
        self.addCleanup(v.close)
        return v

    def work(self, v: Vgpu, ms: float, depth: int) -> Work:
        w = Work(v, ms * self.per_ms, depth)
        self.addCleanup(w.close)
        return w

    def test_a_flood_leaves_the_other_its_share(self) -> None:
        flood = self.work(self.vgpu("a"), *FLOOD)
        short = self.work(self.vgpu("b"), 0.5, 16)
        a, b = together(2, flood, short)
        share = b["device_ms"] / (a["device_ms"] + b["device_ms"])
        self.assertGreater(share, 0.3, (a, b))
        self.assertLess(share, 0.7, (a, b))

    def test_one_that_waits_for_each_kernel_has_turns_too(self) -> None:
        flood = self.work(self.vgpu("a"), *FLOOD)
        short = self.work(self.vgpu("b"), 0.5, 1)
        a, b = together(2, flood, short)
        self.assertGreater(b["device_ms"], 0.15 * a["device_ms"], (a, b))
        self.assertGreater(a["kernels"], 10, (a, b))

    def test_a_fixed_share_is_a_ceiling(self) -> None:
        self.turns.set_policy("fixed-share")
        got = self.work(self.vgpu("a", 25), 2, 8).run(2)
        self.assertLess(got["device_ms"], 0.35 * 2000, got)
        self.assertGreater(got["kernels"], 20, got)

    def test_a_killed_holder_holds_nobody_up(self) -> None:
        a, b = self.vgpu("a"), self.vgpu("b")
        flood, short = self.work(a, *FLOOD), self.work(b, 0.5, 16)
        flood.begin(30)
        short.begin(0.3)
        short.result()
        a.kill()
        got = short.run(1)
        self.assertGreater(got["kernels"], 200, got)
        self.assertEqual(self.turns.word(BUSY_AT) & 1, 0)

    def test_a_closing_gate_waits_for_no_turn(self) -> None:
        a, b = self.vgpu("a"), self.vgpu("b")
        flood, other = self.work(a, 200, 2), self.work(b, 0.5, 16)
        flood.begin(1.5)
        other.begin(1.5)
        time.sleep(0.5)
        ok, _ = b.ask("gate.close")
        self.assertLess(ok["drain_ms"], 1000)
        time.sleep(0.1)
        self.assertEqual((self.turns.word(WAITING_AT) | self.turns.word(BUSY_AT)) & 2, 0)
        b.ask("gate.open")
        flood.result()
        self.assertGreater(other.result()["kernels"], 0)

    def test_garbage_in_the_memory_stops_nobody(self) -> None:
        a, b = self.vgpu("a"), self.vgpu("b")
        works = self.work(a, 2, 8), self.work(b, 0.5, 16)
        dice = random.Random(7)
        for w in works:
            w.begin(1.5)
        deadline = time.monotonic() + 1.3
        while time.monotonic() < deadline:
            at = dice.randrange(4, 128 + 3 * 64)
            self.turns.memory[at:at + 8] = os.urandom(8)
            time.sleep(0.001)
        self.turns.memory[4:BYTES] = bytes([0xff]) * (BYTES - 4)
        for w in works:
            self.assertGreater(w.result()["kernels"], 10)
        for w in works:
            self.assertGreater(w.run(1)["kernels"], 1)
        for v in (a, b):
            self.assertIsNone(v.process.poll())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
