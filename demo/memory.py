# SPDX-License-Identifier: Apache-2.0
"""How much memory there is to take: the machine's, or a container's where that is less."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

# Of a control group's folder, by the kernel's two interfaces (Documentation/admin-guide/cgroup-v2.rst and
# cgroup-v1/memory.rst): the limit, what is in use, and which line of memory.stat counts pages that can go at once.
_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _meminfo(text: str) -> int:
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:")), 0)


def _groups(text: str, mounts: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The folders of this process's control groups, up to each hierarchy's top: a limit there counts too."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, names = (mounts / "memory", _V1) if controllers else (mounts, _V2)
        folder = top / path.lstrip("/")
        yield from ((f, names) for f in (folder, *folder.parents) if f.is_relative_to(top))


def _room(folder: Path, names: tuple[str, str, str]) -> int | None:
    try:
        limit, used = ((folder / name).read_text().strip() for name in names[:2])
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    return None if limit == "max" else int(limit) - int(used) + int(stat.get(names[2], 0))


def available(proc: Path = Path("/proc"), mounts: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes."""
    rooms = [_room(*group) for group in _groups((proc / "self/cgroup").read_text(), mounts)]
    return min([_meminfo((proc / "meminfo").read_text()), *(room for room in rooms if room is not None)])
