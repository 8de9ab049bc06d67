# SPDX-License-Identifier: Apache-2.0
"""What a run leaves behind on the machine, which must be nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab import process


@dataclass(frozen=True)
class Snapshot:
    mounts: frozenset[str]
    shared: frozenset[str]
    names: frozenset[str]

    @classmethod
    def take(cls) -> Snapshot:
        mounts = frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
        return cls(mounts, _names("/dev/shm"), _names("/run/netns"))


def _names(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def since(before: Snapshot, lab_folder: Path) -> list[str]:
    """Processes of this lab, and the mounts, shared memory and namespaces that name it or were not there."""
    now = Snapshot.take()
    found = [f"process {p.pid} ({process.program(p.pid)})"
             for p in process.with_environment({"FERRY_LAB_FOLDER": str(lab_folder)})]
    found += [f"mount {m}" for m in sorted(now.mounts - before.mounts) if str(lab_folder) in m]
    found += [f"/dev/shm/{n}" for n in sorted(now.shared - before.shared) if "ferry" in n]
    found += [f"namespace {n}" for n in sorted(now.names - before.names) if "ferry" in n]
    return found
