# SPDX-License-Identifier: Apache-2.0
"""A trainer, whose every step rewrites its weights, gradients and optimiser state, is moved again and again, and
its loss curve equals bit for bit that of a run that never moved."""

from __future__ import annotations

import re

from tests.e2e.machine import VM, VmTest

MOVES = 10
TRAIN = ("llm-train --dim 128 --layers 3 --heads 4 --kv-heads 2 --hidden 384 --vocab 512 --context 128 --batch 2 "
         "--steps 100000 --warmup 20 --rate 0.003")


class TrainTest(VmTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.boot()

    def curve(self, host: str, name: str) -> list[str]:
        """Loss and norm of each step, in digits that tell any two floats apart."""
        _, text = self.ferry.guest(host, VM, "cat", f"/tmp/{name}")
        return re.findall(r"^step \d+ loss \S+ norm \S+", text, re.MULTILINE)

    def step(self, host: str) -> int:
        _, text = self.ferry.guest(host, VM, "tail", "-n", "1", "/tmp/moved")
        found = re.match(r"step (\d+) ", text)
        return int(found[1]) if found else 0

    def start(self, host: str) -> None:
        status, text = self.ferry.guest(host, VM, "sh", "-c", f"{TRAIN} --idle-us 20000 >/tmp/moved 2>&1 & echo $! >/tmp/pid")
        self.assertEqual(status, 0, text)
        self.wait("the first steps", lambda: self.step(host) > 2, 60)

    def stop(self, host: str) -> None:
        self.ferry.guest(host, VM, "sh", "-c", "kill -TERM $(cat /tmp/pid)")
        self.wait("the trainer's end", lambda: self.ferry.guest(host, VM, "sh", "-c", "kill -0 $(cat /tmp/pid)")[0] != 0, 30)

    def test_a_run_that_moves_ten_times_learns_the_same(self) -> None:
        self.start("a")
        here, there = "a", "b"
        for move in range(MOVES):
            self.migrate(here, there, "--mode", "stop-copy" if move % 5 == 4 else "precopy", "--verify")
            here, there = there, here
            before = self.step(here)
            self.wait(f"steps on {here}", lambda: self.step(here) > before + 1, 30)
        self.stop(here)
        moved = self.curve(here, "moved")
        self.assertGreater(len(moved), 2 * MOVES)

        status, text = self.ferry.guest(here, VM, "sh", "-c", f"{TRAIN} --stop-at {len(moved)} >/tmp/still 2>&1", timeout=120)
        self.assertEqual(status, 0, text)
        self.assertEqual(moved, self.curve(here, "still"))
        self.assertLess(float(moved[-1].split()[3]), float(moved[0].split()[3]))
