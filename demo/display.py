# SPDX-License-Identifier: Apache-2.0
"""What the demo shows while it runs: a live block at the bottom of a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import Any, Callable

SPARKS = "▁▂▃▄▅▆▇█"
LIVE_PERIOD_S = 0.2
PLAIN_PERIOD_S = 4.0
BAR = 28


def size(n: float) -> str:
    for unit in ("B", "KB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}"
        n /= 1000
    return f"{n:.2f} GB"


def bar(done: float, total: float) -> str:
    filled = round(BAR * min(1.0, done / total)) if total else 0
    return "█" * filled + "░" * (BAR - filled)


def spark(values: list[float]) -> str:
    top = max(values, default=0) or 1
    return "".join(SPARKS[min(7, int(v / top * 7.99))] if v > 0 else " " for v in values)


class Display:
    """Everything is one line: event(), act(), tick(). `status` gives the live block's lines."""

    def __init__(self, live: bool | None = None) -> None:
        self.live = sys.stdout.isatty() if live is None else live
        self.started = time.monotonic()
        self.lock = threading.Lock()
        self.drawn = 0
        self.status: Callable[[], list[str]] = list
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _colour(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.live else text

    def _erase(self) -> None:
        if self.drawn:
            sys.stdout.write(f"\x1b[{self.drawn}F\x1b[J")
            self.drawn = 0

    def _draw(self) -> None:
        width = shutil.get_terminal_size().columns - 1
        lines = [line[:width] for line in self.status()]
        sys.stdout.write("".join(line + "\n" for line in lines))
        self.drawn = len(lines)

    def _print(self, text: str) -> None:
        with self.lock:
            if self.live:
                self._erase()
            sys.stdout.write(text + "\n")
            if self.live and not self.ended.is_set():
                self._draw()
            sys.stdout.flush()

    def event(self, text: str) -> None:
        self._print(f"{time.monotonic() - self.started:6.1f} s  {text}")

    def act(self, number: int, title: str) -> None:
        self._print("\n" + self._colour("1", f"{number}. {title}"))

    def tick(self, good: bool, text: str) -> None:
        mark = self._colour("32", "✓") if good else self._colour("31;1", "✗")
        self._print(f"  {mark} {text}")

    def plain(self, text: str = "") -> None:
        self._print(text)

    def _run(self) -> None:
        while not self.ended.wait(LIVE_PERIOD_S if self.live else PLAIN_PERIOD_S):
            if self.live:
                with self.lock:
                    self._erase()
                    self._draw()
                    sys.stdout.flush()
            else:
                for line in self.status():
                    self.event(line.strip())

    def close(self) -> None:
        """No more live block; later lines are printed as they come."""
        self.ended.set()
        self.thread.join()
        if self.live:
            with self.lock:
                self._erase()
                sys.stdout.flush()


def migration_lines(progress: dict[str, Any]) -> list[str]:
    """The bars of a migration in progress, from the daemon's progress fields taken together."""
    lines = []
    if progress.get("total_bytes"):
        done, total = progress.get("bytes", 0), progress["total_bytes"]
        lines.append(f"  vGPU round {progress.get('round', 0):<2} {bar(done, total)} {size(done)} of {size(total)}, "
                     f"{size(progress.get('rate_bytes_per_s', 0))}/s")
    if progress.get("ram_total_bytes"):
        total, left = progress["ram_total_bytes"], progress.get("ram_remaining_bytes", 0)
        lines.append(f"  RAM           {bar(max(0, total - left), total)} {size(left)} left")
    if progress.get("phase"):
        forecast = f", stun forecast {progress['forecast_ms']:.0f} ms" if "forecast_ms" in progress else ""
        lines.append(f"  {progress['phase']}{forecast}")
    return lines
