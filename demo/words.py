# SPDX-License-Identifier: Apache-2.0
"""A model's text as it flows: a pane on a terminal, new lines elsewhere, and what was said across a pause."""

from __future__ import annotations

import textwrap

from demo.stream import Stream
from demo.times import Window

AROUND = 12  # tokens shown on either side of a pause


def printable(text: str) -> str:
    """What a model says may hold anything; a terminal is to see words only."""
    return "".join(c if c.isprintable() else " " for c in text)


def wrapped(text: str, width: int) -> list[str]:
    """Each request's text begins a line."""
    return [line for part in text.split("\n") for line in textwrap.wrap(printable(part), width)]


class Words:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.shown = 0  # tokens that fresh() has given

    def pane(self, width: int, height: int) -> list[str]:
        """The last lines of the text, always as many."""
        recent = self.stream.starts[-2:]
        lines = wrapped(self.stream.text(recent[0][0] if recent else 0, len(self.stream.words)), width)[-height:]
        return lines + [""] * (height - len(lines))

    def fresh(self, width: int) -> list[str]:
        """What came since the last call."""
        first, self.shown = self.shown, len(self.stream.words)
        return wrapped(self.stream.text(first, self.shown), width)


def across(stream: Stream, window: Window) -> str:
    """The words on both sides of the longest pause in an interval, and how long it was."""
    ms, token = stream.gap(window)
    before, after = stream.text(max(0, token - AROUND), token), stream.text(token, token + AROUND)
    return f"…{printable(before)}⟨{ms:.0f} ms⟩{printable(after)}…"
