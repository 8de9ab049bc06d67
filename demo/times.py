# SPDX-License-Identifier: Apache-2.0
"""What a list of moments, in order, says: how many in an interval, the waits between them. All in ns of CLOCK_REALTIME."""

from __future__ import annotations

import bisect
from typing import Sequence

NS = 1_000_000_000

Window = tuple[int, int]  # from, and to (not included)


def between(times: Sequence[int], window: Window) -> tuple[int, int]:
    """Those in an interval: the first, and the one after the last."""
    return bisect.bisect_left(times, window[0]), bisect.bisect_left(times, window[1])


def rate(times: Sequence[int], window: Window) -> float:
    """How many a second."""
    first, after = between(times, window)
    return (after - first) * NS / (window[1] - window[0]) if window[1] > window[0] else 0.0


def waits_ms(times: Sequence[int], window: Window) -> list[float]:
    """From one to the next within an interval, in order of length."""
    first, after = between(times, window)
    return sorted((b - a) / 1e6 for a, b in zip(times[first:after], times[first + 1:after]))


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else None


def longest_wait(times: Sequence[int], window: Window) -> tuple[float, int]:
    """The longest time without one that touches this interval, in ms, and which ended it."""
    first, after = between(times, window)
    near = range(max(1, first), min(len(times), after + 1))
    return max((((times[i] - times[i - 1]) / 1e6, i) for i in near), default=(0.0, 0))


def history(times: Sequence[int], bin_s: float) -> list[tuple[float, float]]:
    """(seconds since the first, how many a second), in bins of equal width."""
    if len(times) < 2:
        return []
    start, width = times[0], int(bin_s * NS)
    counts = [0] * ((times[-1] - start) // width + 1)
    for t in times:
        counts[(t - start) // width] += 1
    return [(round(i * bin_s, 3), round(c / bin_s, 2)) for i, c in enumerate(counts[:-1])]
