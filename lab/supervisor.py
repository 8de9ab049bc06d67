# SPDX-License-Identifier: Apache-2.0
"""The process that is a host: holds its network namespace and keeps ferryd running.

Started by lifecycle.py as `python3 -m lab.supervisor FOLDER FERRYD|-`. It goes to the background,
writes its pid to standard output once its namespace exists, and waits for a line on standard input
before it starts ferryd, since the network is built from outside in between. QEMU and ferry-vgpu outlive ferryd: as their subreaper
this process inherits them, and ends them with itself.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from lab import netns

RESTART_S = 0.3
RESTART_MAX_S = 2.0  # for a ferryd that never lives for a second
GRACE_S = 3.0
_SIGNALS = {signal.SIGTERM, signal.SIGCHLD}


class Supervisor:
    def __init__(self, folder: Path, ferryd: str) -> None:
        self.folder = folder
        self.ferryd = ferryd
        self.pid = 0
        self.started = 0.0
        self.next_start = 0.0
        self.delay = RESTART_S

    def start(self) -> None:
        log = str(self.folder / "ferryd.log")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        argv = [self.ferryd, "--config", str(self.folder / "ferryd.json")]
        # A fresh signal mask: ours blocks what the main loop waits for.
        self.pid = os.posix_spawn(self.ferryd, argv, os.environ, setsigmask=[], setsigdef=[signal.SIGINT],
                                  file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                                                (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o644),
                                                (os.POSIX_SPAWN_DUP2, 1, 2)])
        self.started = time.monotonic()
        (self.folder / "ferryd.pid").write_text(f"{self.pid}\n")

    def reap(self) -> bool:
        """Collects the dead; False when no child is left at all."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.pid:
                self._ferryd_ended(status)

    def _ferryd_ended(self, status: int) -> None:
        now = time.monotonic()
        short = now - self.started < 1
        self.delay = min(self.delay * 2, RESTART_MAX_S) if short else RESTART_S
        self.next_start = now + self.delay
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        what = f"signal {-code}" if code < 0 else f"exit status {code}"
        with open(self.folder / "ferryd.log", "a") as log:
            log.write(f"lab: ferryd ended, {what}\n")

    def run(self) -> None:
        while True:
            self.reap()
            down = self.ferryd == "-" or (self.folder / "ferryd.down").exists()
            if not self.pid and not down and time.monotonic() >= self.next_start:
                self.start()
            got = signal.sigtimedwait(_SIGNALS, 0.2 if not self.pid and not down else 1.0)
            if got and got.si_signo == signal.SIGTERM:
                return

    def end(self) -> None:
        """Ends ferryd politely and then everything that it left."""
        deadline = time.monotonic() + GRACE_S
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            os.kill(self.pid, signal.SIGCONT)
        while self.pid and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            self.reap()
        while self.reap():
            for pid in self._children():
                os.kill(pid, signal.SIGKILL)
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)

    @staticmethod
    def _children() -> list[int]:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return [int(p) for p in text.split()]


def main() -> None:
    folder, ferryd = Path(sys.argv[1]), sys.argv[2]
    if os.fork():
        os._exit(0)
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    netns.become_subreaper()
    netns.unshare()
    os.chdir(folder / "state")
    print(os.getpid(), flush=True)
    if not sys.stdin.readline():
        return  # the lab's making was given up
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    supervisor = Supervisor(folder, ferryd)
    supervisor.run()
    supervisor.end()


if __name__ == "__main__":
    main()
