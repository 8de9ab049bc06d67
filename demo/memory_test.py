#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What of a machine's memory a container's limit leaves, by both interfaces of the kernel's control groups."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo import memory  # noqa: E402 - found by the line above

MIB = 1 << 20


class Memory(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.proc, self.mounts = Path(folder.name, "proc"), Path(folder.name, "cgroup")
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "meminfo").write_text("MemTotal: 9999 kB\nMemAvailable: 8192000 kB\n")

    def group(self, path: str, names: tuple[str, str, str], limit: str, used: int, cache: int) -> None:
        folder = self.mounts / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / names[0]).write_text(f"{limit}\n")
        (folder / names[1]).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {cache}\n")

    def available(self, groups: str) -> int:
        (self.proc / "self/cgroup").write_text(groups)
        return memory.available(self.proc, self.mounts) // MIB

    def test_no_limit(self) -> None:
        self.assertEqual(self.available("0::/\n"), 8000)
        self.group("shell", memory._V2, "max", 5 * MIB, 0)
        self.assertEqual(self.available("0::/shell\n"), 8000)

    def test_limit_of_a_folder_above(self) -> None:
        self.group("box/shell", memory._V2, "max", 5 * MIB, 0)
        self.group("box", memory._V2, str(4096 * MIB), 1000 * MIB, 300 * MIB)
        self.assertEqual(self.available("0::/box/shell\n"), 3396)

    def test_first_interface(self) -> None:
        self.group("memory/box", memory._V1, str(2048 * MIB), 100 * MIB, 50 * MIB)
        self.assertEqual(self.available("4:cpu:/\n3:memory:/box\n0::/\n"), 1998)

    def test_the_machine_has_less(self) -> None:
        self.group("box", memory._V2, str(1 << 40), 0, 0)
        self.assertEqual(self.available("0::/box\n"), 8000)


if __name__ == "__main__":
    unittest.main()
