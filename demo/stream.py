# SPDX-License-Identifier: Apache-2.0
"""The demo's side of the streaming clients: when each token came, how fast, and the longest silence."""

from __future__ import annotations

import bisect
import json
import subprocess
import threading
import time
from typing import Any, Sequence

from demo.models import Model
from demo.place import Place
from lab.model import Lab

NS = 1_000_000_000
BIN_S = 0.25

Window = tuple[int, int]  # from and to, CLOCK_REALTIME in ns


class Stream:
    """One client of one model: tokens as they arrive. Reading them here is safe from any thread."""

    def __init__(self, model: Model, place: Place) -> None:
        self.model, self.place = model, place
        self.times: list[int] = []  # CLOCK_REALTIME, ns
        self.ids: list[int] = []
        self.words: list[str] = []
        self.starts: list[tuple[int, str]] = []  # of each request: the index of its first token, its prompt
        self.ended: str | None = None
        self.connections = 0
        self.process = place.popen("demo.client", json.dumps(model.requests.fields()), stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self.ids.append(message["id"])
            self.words.append(message["text"])
            self.times.append(message["t"])
        elif "request" in message:
            self.starts.append((len(self.ids), message["prompt"]))
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

    def text(self, first: int, last: int) -> str:
        """The words of tokens first to last - 1; each request's prompt stands before its own, on a new line."""
        out, prompts = [], dict(self.starts)
        for i in range(first, min(last, len(self.words))):
            if i in prompts:
                out.append(("\n" if i else "") + prompts[i])
            out.append(self.words[i])
        return "".join(out)

    def between(self, window: Window) -> tuple[int, int]:
        """The tokens that came in an interval: the first, and the one after the last."""
        return bisect.bisect_left(self.times, window[0]), bisect.bisect_left(self.times, window[1])

    def rate(self, window: Window) -> float:
        """Tokens a second in an interval."""
        first, after = self.between(window)
        return (after - first) * NS / (window[1] - window[0]) if window[1] > window[0] else 0.0

    def gap(self, window: Window) -> tuple[float, int]:
        """The longest time without a token that touches this interval, in ms, and the token that ended it."""
        first, after = self.between(window)
        near = range(max(1, first), min(len(self.times), after + 1))
        return max((((self.times[i] - self.times[i - 1]) / 1e6, i) for i in near), default=(0.0, 0))

    def latency(self, window: Window) -> dict[str, float]:
        """The time from one token to the next in an interval: p50 and p99 in ms, and the interval's length."""
        first, after = self.between(window)
        waits = sorted((b - a) / 1e6 for a, b in zip(self.times[first:after], self.times[first + 1:after]))
        at = {f"p{p}": round(waits[min(len(waits) - 1, len(waits) * p // 100)], 1) if waits else 0.0 for p in (50, 99)}
        return {**at, "seconds": round((window[1] - window[0]) / NS, 1)}

    def stop(self) -> None:
        """Ends the client from this side: the demo has seen enough."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.thread.join(5)
        if self.process.stdout:
            self.process.stdout.close()


class Streams(list[Stream]):
    """The clients of all models of a VM, taken together."""

    @classmethod
    def outside(cls, lab: Lab, models: Sequence[Model], address: str) -> Streams:
        """One client for each model in the lab's outside network."""
        return cls(Stream(m, Place.outside(lab, address, m.port)) for m in models)

    @property
    def alive(self) -> bool:
        return all(s.alive for s in self)

    def wait_for(self, tokens: int, seconds: float) -> bool:
        """True once each has had so many tokens more."""
        deadline = time.monotonic() + seconds
        return all(s.wait_for(tokens, deadline - time.monotonic()) for s in self)

    def rate(self, window: Window) -> float:
        return sum(s.rate(window) for s in self)

    def gap_ms(self, window: Window) -> float:
        """The longest that any client waited."""
        return max(s.gap(window)[0] for s in self)

    def start_ns(self) -> int:
        return min((s.times[0] for s in self if s.times), default=0)

    def history(self) -> list[tuple[float, float]]:
        """(seconds since the first token, tokens a second of all together), in bins of equal width."""
        times, start, width = sorted(t for s in self for t in s.times), self.start_ns(), int(BIN_S * NS)
        if len(times) < 2:
            return []
        counts = [0] * ((times[-1] - start) // width + 1)
        for t in times:
            counts[(t - start) // width] += 1
        return [(round(i * BIN_S, 3), round(c / BIN_S, 2)) for i, c in enumerate(counts[:-1])]

    def stop(self) -> None:
        for s in self:
            s.stop()
