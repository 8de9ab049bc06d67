# SPDX-License-Identifier: Apache-2.0
"""The VM's models as those outside have them: a stream of each, a conversation, and the comparison with servers
that never moved."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from demo.conversation import Conversation
from demo.display import Display, spark
from demo.models import Model
from demo.place import Place
from demo.reference import Reference
from demo.result import ms
from demo.stream import Stream, Streams
from demo.times import NS, Window
from demo.words import Words, across, printable
from lab.model import Lab

PANE_WIDTH, PANE_LINES = 100, 3
SILENT_MS = 400
LOAD_S, COMPARE_S = 240, 600


class ServingError(Exception):
    """The models do not answer; one line."""


class Serving:
    def __init__(self, models: tuple[Model, ...], display: Display) -> None:
        self.models, self.display = models, display
        self.streams = Streams()
        self.words: list[Words] = []
        self.conversation = Conversation()
        self.place: Place | None = None  # of the model that is talked to: the last one whose text is shown

    def connect(self, lab: Lab, address: str) -> None:
        """Waits until all have loaded, then streams."""
        for m in self.models:
            started, place = time.monotonic(), Place.outside(lab, address, m.port)
            if not place.wait_ready(LOAD_S):
                raise ServingError("a model server in the guest does not answer; see console.log in the VM's folder")
            self.display.event(f"{m.title()} is in vGPU memory, {time.monotonic() - started:.1f} s")
            if m.readable:
                self.place = place
        self.streams = Streams.outside(lab, self.models, address)
        if not self.streams.wait_for(20, 60):
            raise ServingError("no tokens: " + ", ".join(s.ended or f"{s.model.name}: {len(s.ids)}" for s in self.streams))
        self.words = [Words(s) for s in self.streams if s.model.readable]
        self.display.event("a client of each streams")

    # ---- what is shown while it runs ----

    def status(self) -> list[str]:
        lines = [self._stream_line(s) for s in self.streams if s.times and s.alive]
        for words in self.words:
            shown = words.pane(PANE_WIDTH, PANE_LINES) if self.display.live else words.fresh(PANE_WIDTH)
            lines += [f"    │ {line}" for line in shown]
        return lines

    @staticmethod
    def _stream_line(s: Stream) -> str:
        now = time.time_ns()
        history = [s.rate((now - (i + 1) * NS, now - i * NS)) for i in range(39, -1, -1)]
        silence = (now - s.times[-1]) / 1e6
        return (f"  {s.model.name:<9} {history[-1]:5.1f} tokens/s  {spark(history)}  {len(s.times)} in all"
                + (f", silent for {ms(silence)}" if silence > SILENT_MS else ""))

    # ---- what was noticed of a migration ----

    def noticed(self, m: dict[str, Any], window: Window) -> None:
        """The longest wait, and the words on both sides of it, into the migration's record."""
        m["client_gap_ms"] = self.streams.gap_ms(window)
        m["reader"] = [across(w.stream, window) for w in self.words]
        for line in m["reader"]:
            self.display.event(f"what the reader saw: {line}")

    def rows(self, windows: dict[str, Window]) -> list[dict[str, Any]]:
        """For each model: tokens/s and the time from token to token in each interval."""
        return [{"name": s.model.name, "title": s.model.title(), "pace": s.model.pace,
                 "tokens_per_s": {k: round(s.rate(w), 2) for k, w in windows.items()},
                 "latency_ms": {k: s.latency(w) for k, w in windows.items()}} for s in self.streams]

    # ---- the conversation ----

    def talk(self, turns: int) -> None:
        """The conversation's next turns."""
        assert self.place
        for _ in range(turns):
            turn = self.conversation.turn(self.place)
            self.display.event(f"conversation: {printable(turn.words).strip()}")
            self.display.event(f"its prompt: {turn.prompt_tokens} tokens, {turn.cached} of them in the KV cache, "
                               f"recomputed: {turn.recomputed}")

    # ---- the end ----

    def hang_up(self) -> bool:
        """Ends the streams from our side; whether they had lasted, on one connection each."""
        lasted = bool(self.streams) and self.streams.alive and all(s.connections == 1 for s in self.streams)
        for s in self.streams:
            if s.ended:
                self.display.event(f"the {s.model.name} model's stream had ended: {s.ended}")
        self.streams.stop()
        self.words = []
        return lasted

    def compare(self, s: Stream, folder: Path) -> dict[str, Any]:
        """Tokens, and words of the conversation, with those of a server that never moved."""
        wanted = len(s.ids)
        self.display.event(f"{s.model.name}: {wanted} tokens from a server that never moved, for comparison")
        with Reference(s.model, folder) as place:
            talk = self._talk_again(place) if s.model.readable else None
            ids = self._ids(s.model, place, wanted)
        same = next((i for i, (x, y) in enumerate(zip(ids, s.ids)) if x != y), min(len(ids), wanted))
        if same < wanted:
            self.display.event(f"the streams differ from token {same} on (of {wanted}; {len(ids)} in the comparison)")
        return {"tokens_compared": len(ids), "identical": 0 < wanted == same, "conversation": talk}

    def _ids(self, model: Model, place: Place, wanted: int) -> list[int]:
        still = Stream(model, place)
        before, self.display.status = self.display.status, lambda: [f"  reference: {len(still.ids)} of {wanted} tokens"]
        still.wait_for(wanted, COMPARE_S)
        still.stop()
        self.display.status = before
        return still.ids[:wanted]

    def _talk_again(self, place: Place) -> dict[str, Any]:
        still, last = Conversation(), self.conversation.turns[-1]
        for _ in self.conversation.turns:
            still.turn(place)
        return {"turns": len(self.conversation.turns), "words": self.conversation.words,
                "prompt_tokens": last.prompt_tokens, "cached_tokens": last.cached, "recomputed_tokens": last.recomputed,
                "identical": still.words == self.conversation.words}
