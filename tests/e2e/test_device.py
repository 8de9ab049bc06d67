# SPDX-License-Identifier: Apache-2.0
"""A VM moves to a host whose device lacks instructions that its own has: its programs are built there from source,
no native code of the one reaches the other, and what they compute stays what it was."""

from __future__ import annotations

import re
import subprocess
import unittest
from pathlib import Path
from typing import Any

from lab import control
from tests.e2e.machine import VM, VmTest

TRAIN = "llm-train --dim 64 --layers 2 --heads 2 --kv-heads 2 --hidden 128 --vocab 256 --context 64 --batch 2 --warmup 20"
# What only AVX-512 has: its registers beyond YMM15, and its masks (Intel's manual, volume 2, section 2.7).
AVX512 = re.compile(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]\b")
# The curves differ where a sum is rounded in another order; the loss itself falls by more than one.
APART = 0.02


def has_avx512() -> bool:
    return " avx512f " in Path("/proc/cpuinfo").read_text()


@unittest.skipUnless(has_avx512(), "needs a processor with AVX-512, for a host that lacks it")
class DeviceTest(VmTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        control.set_device(cls.lab, cls.lab.host("b"), "avx2")
        cls.boot()

    def code(self, host: str) -> str:
        """The native code that a host's vGPU has of the guest's programs."""
        cache = self.lab.host(host).state / "vms" / VM / "cl-cache"
        files = [str(p) for p in cache.rglob("*.so")]
        self.assertTrue(files, f"no native code in {cache}")
        return subprocess.run(["objdump", "-d", "--no-show-raw-insn", *files], capture_output=True, text=True, check=True).stdout

    def losses(self, host: str, name: str) -> list[float]:
        _, text = self.ferry.guest(host, VM, "cat", f"/tmp/{name}")
        return [float(loss) for loss in re.findall(r"^step \d+ loss (\S+)", text, re.MULTILINE)]

    def assert_trains(self, host: str) -> None:
        before = len(self.losses(host, "moved"))
        self.wait(f"steps on {host}", lambda: len(self.losses(host, "moved")) > before + 5, 60)

    def findings(self, to: str) -> dict[str, dict[str, str]]:
        """What `ferry check` finds of devices, once the destination knows its own."""
        answer: dict[str, Any] = {}

        def known() -> bool:
            answer.update(self.ferry.must("a" if to == "b" else "b", "check", VM, "--to", to))
            return "device" in answer["facts"]

        self.wait(f"{to} to know its device", known, 20)
        return {f["code"]: f for f in answer["findings"] if f["code"] in ("device-differs", "no-svm")}

    def test_a_program_made_of_a_binary_keeps_its_vm(self) -> None:
        """There is no source to build it of on the other device: the migration ends before the stun, the VM goes on."""
        self.start_pattern("a", 16, options="--stored 1")
        answer = self.begin("a", "b").wait(60)
        self.assertEqual((answer.exit, answer.code), (1, "program-not-built"), self.describe(answer))
        self.assertEqual(answer.result["stun_ms"], 0)
        self.assert_runs_only_on("a")
        self.assert_goes_on("a")
        self.assertRegex(self.finish_pattern("a"), r"pattern ok \d+")

    def test_programs_are_built_anew_for_another_device(self) -> None:
        found = self.findings("b")
        self.assertEqual(list(found), ["device-differs"])
        self.assertEqual(found["device-differs"]["severity"], "warn")
        self.assertIn("haswell", found["device-differs"]["cause"])
        self.start_pattern("a", 16)
        status, text = self.ferry.guest("a", VM, "sh", "-c", f"{TRAIN} --steps 100000 >/tmp/moved 2>&1 & echo $! >/tmp/trainer")
        self.assertEqual(status, 0, text)
        self.assert_trains("a")
        self.assertRegex(self.code("a"), AVX512)
        for source, destination in (("a", "b"), ("b", "a")):
            self.assertTrue(self.migrate(source, destination, "--verify")["verified"])
            self.assert_goes_on(destination)
            self.assert_trains(destination)
            found = AVX512.search(self.code(destination))
            self.assertEqual(bool(found), destination == "a", found)
        self.assertRegex(self.finish_pattern("a"), r"pattern ok \d+")
        self.ferry.guest("a", VM, "sh", "-c", "kill -TERM $(cat /tmp/trainer)")
        moved = self.losses("a", "moved")

        status, text = self.ferry.guest("a", VM, "sh", "-c", f"{TRAIN} --steps 100000 --stop-at {len(moved)} >/tmp/still 2>&1", timeout=120)
        self.assertEqual(status, 0, text)
        still = self.losses("a", "still")
        self.assertEqual(len(moved), len(still))
        for step, (a, b) in enumerate(zip(moved, still)):
            self.assertAlmostEqual(a, b, delta=APART, msg=f"step {step}")
