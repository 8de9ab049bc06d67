# SPDX-License-Identifier: Apache-2.0
"""The demo's side of the streaming clients: when each token came, how fast, and the longest silence."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import Any, Sequence

from demo import times
from demo.models import Model
from demo.place import Place
from demo.times import NS, Window
from lab.model import Lab

BIN_S = 0.25


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
        return times.between(self.times, window)

    def rate(self, window: Window) -> float:
        """Tokens a second in an interval."""
        return times.rate(self.times, window)

    def gap(self, window: Window) -> tuple[float, int]:
        """The longest time without a token that touches this interval, in ms, and the token that ended it."""
        return times.longest_wait(self.times, window)

    def latency(self, window: Window) -> dict[str, float]:
        """The time from one token to the next in an interval: p50 and p99 in ms, and the interval's length."""
        waits = times.waits_ms(self.times, window)
        at = {f"p{p}": round(times.percentile(waits, p) or 0.0, 1) for p in (50, 99)}
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
        return times.history(sorted(t for s in self for t in s.times), BIN_S)

    def stop(self) -> None:
        for s in self:
            s.stop()
