# SPDX-License-Identifier: Apache-2.0
"""Processes by pid and start time, so that a recorded pid never means a later process."""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass


def start_time(pid: int) -> int:
    """Clock ticks after boot, proc(5) field 22 of stat; 0 when there is no such process or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


@dataclass(frozen=True)
class Process:
    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, start_time(pid))

    def alive(self) -> bool:
        return self.start != 0 and start_time(self.pid) == self.start

    def kill(self, signo: int) -> bool:
        """Signals this very process; False when it is gone. A pidfd keeps the number from being reused."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(fd, signo)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)

    def wait(self, seconds: float) -> bool:
        """Waits for its end, also when it is not our child."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():
                return True
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        finally:
            os.close(fd)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def arguments(pid: int) -> list[str]:
    return [a.decode(errors="replace") for a in _read(f"/proc/{pid}/cmdline").split(b"\0")[:-1]]


def program(pid: int) -> str:
    """The base name of what it executes; '' when that cannot be told."""
    try:
        name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""
    return name.removesuffix(" (deleted)")


def with_environment(wanted: dict[str, str]) -> list[Process]:
    """All live processes but ourselves that were started with each of these variables."""
    need = [f"{k}={v}".encode() for k, v in wanted.items()]
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        process = Process.of(int(entry))
        if process.start and set(need) <= set(_read(f"/proc/{entry}/environ").split(b"\0")):
            found.append(process)
    return found
