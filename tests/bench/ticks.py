# SPDX-License-Identifier: Apache-2.0
"""When each token or step of a workload came, as seen by a client: a line for each, over TCP or a pipe."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import IO, Callable

from demo import times
from demo.times import Window
from lab import netns

TOKENS_MAX = 1_000_000  # more than any run takes: the client hangs up

Open = Callable[[], IO[bytes]]  # called in the reader's thread


class Ticks:
    """Counts lines that begin with `mark` as they come. Safe to read from any thread."""

    def __init__(self, source: Open, mark: bytes) -> None:
        self.times: list[int] = []  # CLOCK_REALTIME, ns
        self.ended: str | None = None
        self.stopped = False
        self.file: IO[bytes] | None = None
        self.thread = threading.Thread(target=self._run, args=(source, mark), daemon=True)
        self.thread.start()

    def _run(self, source: Open, mark: bytes) -> None:
        try:
            self.file = source()
            for line in self.file:
                if line.startswith(mark):
                    self.times.append(time.time_ns())
                if self.stopped:
                    break
            self.ended = "it ended"
        except (OSError, ValueError) as e:
            self.ended = str(e)
        finally:
            if self.file:
                self.file.close()

    @property
    def alive(self) -> bool:
        return self.ended is None

    def wait_for(self, ticks: int, seconds: float) -> bool:
        """True once so many more than now have come."""
        wanted, deadline = len(self.times) + ticks, time.monotonic() + seconds
        while len(self.times) < wanted:
            if not self.alive or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def stop(self) -> None:
        """Hangs up at the next line."""
        self.stopped = True
        self.thread.join(30)

    # ---- what was seen ----

    def count(self, window: Window) -> int:
        first, after = times.between(self.times, window)
        return after - first

    def rate(self, window: Window) -> float:
        """Ticks a second."""
        return times.rate(self.times, window)

    def gaps_ms(self, window: Window) -> list[float]:
        """The times between ticks, in order of size."""
        return times.waits_ms(self.times, window)

    def longest_gap_ms(self, window: Window) -> float:
        """The longest time without a tick that touches the interval."""
        return times.longest_wait(self.times, window)[0]

    def history(self, bin_s: float) -> list[tuple[float, float]]:
        """(seconds since the first tick, ticks a second), in bins of equal width."""
        return times.history(self.times, bin_s)


@dataclass(frozen=True)
class Place:
    """Where a workload listens; `namespace` is the process in whose network namespace it is reached."""
    address: str
    port: int
    namespace: int | None = field(default=None, compare=False)

    def connect(self, timeout: float = 60) -> socket.socket:
        """In the thread that calls it, which stays in that namespace."""
        if self.namespace:
            netns.enter(self.namespace)
        s = socket.create_connection((self.address, self.port), timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s


def tokens(place: Place, prompt: str, count: int = TOKENS_MAX) -> Ticks:
    """The tokens of one streamed completion."""
    def ask() -> IO[bytes]:
        with place.connect() as s:
            body = json.dumps({"prompt": prompt, "max_tokens": count, "stream": True, "temperature": 0}).encode()
            s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                      b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            return s.makefile("rb")
    return Ticks(ask, b"data: {")


def steps(place: Place) -> Ticks:
    """The steps of a trainer that stands behind a port."""
    def listen() -> IO[bytes]:
        with place.connect() as s:
            return s.makefile("rb")
    return Ticks(listen, b"step ")


def steps_of(process: subprocess.Popen[bytes]) -> Ticks:
    """The steps of a trainer of ours."""
    assert process.stdout
    out = process.stdout
    return Ticks(lambda: out, b"step ")
