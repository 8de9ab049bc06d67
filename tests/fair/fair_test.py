#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fair_test.py BUILD: two real ferry-vgpus take turns on the device. The machine may be busy: shares are
compared as the turns' own memory has them, for longer where that is not enough, and speeds with those
that the same vGPU had before."""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.fair.vgpus import BUSY_AT, BYTES, WAITING_AT, Turns, Vgpu, Work, calibrate  # noqa: E402

BUILD = Path(sys.argv[1]).resolve()
FLOOD = (20, 6)  # ms of a kernel, kernels ahead
WINDOWS_S = (2, 4, 8, 16)


class Contest(NamedTuple):
    """Two that work at the same time: what they got, and what their turns' memory says of it."""
    a: dict[str, float]
    b: dict[str, float]
    share: float  # of b, of what both were charged
    hands: int


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

    def contest(self, a: Work, b: Work, seconds: float) -> Contest:
        """`a` and `b` are the first and the second vGPU's. Only the time that both are at work counts."""
        for w in (a, b):
            w.begin(seconds + 0.5)
        time.sleep(0.4)
        used, hands = [self.turns.used_ms(i) for i in (0, 1)], self.turns.hands()
        time.sleep(seconds)
        used, hands = [self.turns.used_ms(i) - used[i] for i in (0, 1)], self.turns.hands() - hands
        return Contest(a.result(), b.result(), used[1] / max(1, sum(used)), hands)

    def assert_comes_true(self, holds: Callable[[Contest], bool], a: Work, b: Work) -> None:
        """In one of the windows: the longer one, the less it matters whom the machine has kept waiting."""
        seen = []
        for seconds in WINDOWS_S:
            seen.append(self.contest(a, b, seconds))
            if holds(seen[-1]):
                return
        self.fail(str(seen))

    def assert_soon(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_a_flood_leaves_the_other_its_share(self) -> None:
        flood = self.work(self.vgpu("a"), *FLOOD)
        short = self.work(self.vgpu("b"), 0.5, 16)
        self.assert_comes_true(lambda c: 0.35 < c.share < 0.65 and c.a["kernels"] > 10, flood, short)

    def test_one_that_waits_for_each_kernel_has_turns_too(self) -> None:
        flood = self.work(self.vgpu("a"), *FLOOD)
        short = self.work(self.vgpu("b"), 0.5, 1)

        def holds(c: Contest) -> bool:
            # One kernel for each of the flood's would be a share of 0.03.
            return 0.2 < c.share < 0.8 and c.a["kernels"] > 10 and c.b["kernels"] > c.hands
        self.assert_comes_true(holds, flood, short)

    def test_a_fixed_share_is_a_ceiling(self) -> None:
        self.turns.set_policy("fixed-share")
        got = self.work(self.vgpu("a", 25), 2, 8).run(2)
        self.assertLess(got["device_ms"], 0.35 * 2000, got)
        self.assertGreater(got["kernels"], 5, got)

    def test_a_killed_holder_holds_nobody_up(self) -> None:
        a, b = self.vgpu("a"), self.vgpu("b")
        flood, short = self.work(a, *FLOOD), self.work(b, 0.5, 16)
        alone = short.run(1)["kernels"]
        flood.begin(30)
        short.begin(0.3)
        short.result()
        a.kill()
        # A tenth, where it had to wait for the end of each of the dead one's turns.
        got = max(short.run(1)["kernels"] for _ in range(3))
        self.assertGreater(got, 0.4 * alone)
        self.assertEqual(self.turns.word(BUSY_AT) & 1, 0)

    def test_a_stopped_holder_stops_nobody(self) -> None:
        a, b = self.vgpu("a"), self.vgpu("b")
        flood, short = self.work(a, *FLOOD), self.work(b, 0.5, 16)
        flood.begin(30)
        short.begin(0.3)
        short.result()
        a.process.send_signal(signal.SIGSTOP)
        self.addCleanup(a.process.send_signal, signal.SIGCONT)
        got = max(short.run(2)["kernels"] for _ in range(3))
        self.assertGreater(got, 20)  # one at each lease would be as many

    def test_a_closing_gate_waits_for_no_turn(self) -> None:
        a, b = self.vgpu("a"), self.vgpu("b")
        flood, other = self.work(a, 200, 2), self.work(b, 0.5, 16)
        flood.begin(3)
        other.begin(3)
        time.sleep(0.5)
        ok, _ = b.ask("gate.close")
        self.assert_soon(lambda: (self.turns.word(WAITING_AT) | self.turns.word(BUSY_AT)) & 2 == 0)
        b.ask("gate.open")
        got = flood.result()
        self.assertLess(ok["drain_ms"], max(1000, 5 * got["device_ms"] / max(1, got["kernels"])))
        self.assertGreater(other.result()["kernels"], 0)

    def test_garbage_in_the_memory_stops_nobody(self) -> None:
        a, b = self.vgpu("a"), self.vgpu("b")
        works = self.work(a, 2, 8), self.work(b, 0.5, 16)
        dice = random.Random(7)
        for w in works:
            w.begin(3)
        deadline = time.monotonic() + 2.8
        while time.monotonic() < deadline:
            at = dice.randrange(4, 128 + 3 * 64)
            self.turns.memory[at:at + 8] = os.urandom(8)
            time.sleep(0.001)
        self.turns.memory[4:BYTES] = bytes([0xff]) * (BYTES - 4)
        for w in works:
            self.assertGreater(w.result()["kernels"], 10)
        for w in works:
            self.assertGreater(w.run(2)["kernels"], 1)
        for v in (a, b):
            self.assertIsNone(v.process.poll())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
