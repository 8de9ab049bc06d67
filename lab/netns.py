# SPDX-License-Identifier: Apache-2.0
"""Network namespaces without names: each lives as long as a process in it."""

from __future__ import annotations

import ctypes
import os
import subprocess

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)


class NetworkError(Exception):
    """One line: which command failed, and what it said."""


def _check(result: int, what: str) -> None:
    if result != 0:
        err = ctypes.get_errno()
        raise OSError(err, f"{what}: {os.strerror(err)}")


def unshare() -> None:
    """Moves this process into a new, empty network namespace. Needs CAP_SYS_ADMIN."""
    _check(_libc.unshare(_CLONE_NEWNET), "a new network namespace")


def enter(pid: int) -> None:
    """Moves this process into the network namespace of another."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(fd, _CLONE_NEWNET), f"the network namespace of process {pid}")
    finally:
        os.close(fd)


def become_subreaper() -> None:
    """Orphans among our descendants become our children, instead of init's (prctl(2))."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def run(pid: int, *argv: str) -> str:
    """Runs a command in the network namespace of `pid`; its output. NetworkError when it fails."""
    done = subprocess.run(["nsenter", "-t", str(pid), "-n", "--", *argv], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise NetworkError(f"{' '.join(argv)}: {done.stderr.strip() or f'exit {done.returncode}'}")
    return done.stdout


def ip_batch(pid: int, *commands: str) -> None:
    """Several ip(8) commands in one process, in the namespace of `pid`; stops at the first that fails."""
    done = subprocess.run(["nsenter", "-t", str(pid), "-n", "--", "ip", "-batch", "-"],
                          input="\n".join(commands) + "\n", capture_output=True, text=True)
    if done.returncode != 0:
        raise NetworkError(f"ip: {done.stderr.strip()}")
