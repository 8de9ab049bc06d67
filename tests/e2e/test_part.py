# SPDX-License-Identifier: Apache-2.0
"""A VM whose vGPU is a part of the device: it gets one at the destination, and its own is free again."""

from __future__ import annotations

import os
import re
import unittest
from pathlib import Path

from tests.e2e.machine import VM, VmTest

PROFILE = "ferry_cpu-4-2q"  # half of the compute units


@unittest.skipIf((os.cpu_count() or 1) < 2, "needs two processors, of which a part is one")
class PartTest(VmTest):
    def placeable(self) -> dict[str, int]:
        """How many more such vGPUs each host can place."""
        return {h: next(p["placeable"] for p in self.ferry.must(h, "profile", "list") if p["name"] == PROFILE)
                for h in ("a", "b")}

    def assert_has_its_part(self, host: str) -> None:
        """The guest sees half of the device, and its process was given that."""
        status, text = self.ferry.guest(host, VM, "clinfo", "--raw")
        self.assertEqual(status, 0, text)
        units = re.findall(r"CL_DEVICE_MAX_COMPUTE_UNITS +(\d+)", text)
        self.assertEqual(units, [str((os.cpu_count() or 1) // 2)])
        vgpu = next(p for p in self.processes(host) if p.kind == "vgpu")
        words = Path(f"/proc/{vgpu.process.pid}/cmdline").read_bytes().split(b"\0")
        self.assertEqual(words[words.index(b"--slices") + 1], b"0:4")

    def test_its_part_moves_there_and_back(self) -> None:
        self.assertEqual(self.placeable(), {"a": 2, "b": 2})
        self.boot(profile=PROFILE)
        self.assertEqual(self.placeable(), {"a": 1, "b": 2})
        self.assertEqual(self.ferry.guest("a", VM, "sh", "-c", "ls -d /dev/virtio-ports/ferry.gpu0.* | wc -l"), (0, "31\n"))
        self.assert_has_its_part("a")
        self.start_pattern("a", 16)
        for source, destination in (("a", "b"), ("b", "a")):
            self.assertTrue(self.migrate(source, destination, "--verify")["verified"])
            self.assert_goes_on(destination)
            self.assert_runs_only_on(destination)
            self.assertEqual(self.placeable(), {source: 2, destination: 1})
            self.assert_has_its_part(destination)
        self.assertRegex(self.finish_pattern("a"), r"pattern ok \d+")
