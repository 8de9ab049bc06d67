# SPDX-License-Identifier: Apache-2.0
"""The demo's side of the streaming client: when each token came, how fast, and the longest silence."""

from __future__ import annotations

import bisect
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from lab.model import ROOT, Lab

NS = 1_000_000_000


@dataclass(frozen=True)
class Target:
    address: str
    port: int
    tokens: int
    prompt: str


class Stream:
    """Tokens as they arrive; reading them here is safe from any thread."""

    def __init__(self, lab: Lab, target: Target) -> None:
        self.times: list[int] = []  # CLOCK_REALTIME, ns
        self.ids: list[int] = []
        self.words: list[str] = []
        self.ended: str | None = None
        self.connections = 0
        env = {**os.environ, **lab.environment("client")}
        self.process = subprocess.Popen(
            ["nsenter", "-t", str(lab.namespace("client").pid), "-n", "--", sys.executable, "-m", "demo.client",
             target.address, str(target.port), str(target.tokens), target.prompt],
            env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            message = json.loads(line)
            if "id" in message:
                self.ids.append(message["id"])
                self.words.append(message["text"])
                self.times.append(message["t"])
            elif "connected" in message:
                self.connections += 1
            elif "end" in message:
                self.ended = message["end"]

    @property
    def alive(self) -> bool:
        return self.ended is None and self.process.poll() is None

    def wait_for(self, tokens: int, seconds: float) -> bool:
        """True once so many tokens more than now have come."""
        wanted = len(self.times) + tokens
        deadline = time.monotonic() + seconds
        while len(self.times) < wanted:
            if not self.alive or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def rate(self, start_ns: int, end_ns: int) -> float:
        """Tokens a second between two times."""
        count = bisect.bisect_left(self.times, end_ns) - bisect.bisect_left(self.times, start_ns)
        return count * NS / (end_ns - start_ns) if end_ns > start_ns else 0.0

    def gap_ms(self, start_ns: int, end_ns: int) -> float:
        """The longest time without a token that touches this interval."""
        first = max(0, bisect.bisect_left(self.times, start_ns) - 1)
        last = bisect.bisect_right(self.times, end_ns) + 1
        near = self.times[first:last]
        return max((b - a for a, b in zip(near, near[1:])), default=0) / 1e6

    def history(self, bin_s: float = 0.25) -> list[tuple[float, float]]:
        """(seconds since the first token, tokens a second), in bins of equal width."""
        if len(self.times) < 2:
            return []
        start, width = self.times[0], int(bin_s * NS)
        counts = [0] * ((self.times[-1] - start) // width + 1)
        for t in self.times:
            counts[(t - start) // width] += 1
        return [(round(i * bin_s, 3), round(c / bin_s, 2)) for i, c in enumerate(counts[:-1])]

    def stop(self) -> None:
        """Ends the client from this side: the demo has seen enough."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.thread.join(5)
        if self.process.stdout:
            self.process.stdout.close()
