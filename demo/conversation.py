# SPDX-License-Identifier: Apache-2.0
"""A conversation in turns with a readable model: all that was said goes back as the next prompt, as token ids, so
that a server which still has its KV cache computes the new line only."""

from __future__ import annotations

import json
from dataclasses import dataclass

from demo.models import SEED
from demo.place import Place

TURN_TOKENS = 44  # four turns fit the readable model's context of 256
LINES = ("And it came to pass in those days, that a ferry", " And the people said unto him,", " Then answered he them,",
         " And when they had heard this,")


@dataclass(frozen=True)
class Turn:
    line: str
    answer: str
    prompt_tokens: int
    cached: int  # of them, by the server's own count
    recomputed: int  # of them: computed although the server had computed them before

    @property
    def words(self) -> str:
        return self.line + self.answer


class Conversation:
    def __init__(self) -> None:
        self.ids: list[int] = []
        self.turns: list[Turn] = []

    def turn(self, place: Place) -> Turn:
        """Says the next line to the server at this place, wherever that is by now. NoAnswer."""
        line = LINES[len(self.turns) % len(LINES)]
        known = max(0, len(self.ids) - 1)  # the model has not read the last token of its own answer
        said = json.loads(place.ask("/tokenize", {"prompt": line, "add_special_tokens": not self.ids}))
        self.ids += said["tokens"]
        answer = json.loads(place.ask("/v1/completions", {
            "prompt": self.ids, "max_tokens": TURN_TOKENS, "temperature": 0.7, "top_p": 0.95, "seed": SEED}))
        self.ids += answer["choices"][0]["token_ids"]
        usage = answer["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        turn = Turn(line, answer["choices"][0]["text"], usage["prompt_tokens"], cached, max(0, known - cached))
        self.turns.append(turn)
        return turn

    @property
    def words(self) -> str:
        return "".join(t.words for t in self.turns)
