# SPDX-License-Identifier: Apache-2.0
"""A conversation in turns with a readable model: all that was said goes back as the next prompt, as token ids, so
that a server which still has its KV cache computes the new line only."""

from __future__ import annotations

import json
from dataclasses import dataclass

from demo.models import SEED
from demo.place import Place

TURN_TOKENS = 44  # at most: four turns fit the readable model's context of 256
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


def tokens_of(place: Place, line: str, begins: bool) -> list[int]:
    said = json.loads(place.ask("/tokenize", {"prompt": line, "add_special_tokens": begins}))
    return [int(t) for t in said["tokens"]]


class Conversation:
    def __init__(self) -> None:
        self.ids: list[int] = []
        self.turns: list[Turn] = []
        self.answer_tokens = 0  # of each turn; known with the first

    def turn(self, place: Place) -> Turn:
        """Says the next line to the server at this place, wherever that is by now. NoAnswer."""
        self.answer_tokens = self.answer_tokens or self.fitting(place)
        line = LINES[len(self.turns) % len(LINES)]
        known = max(0, len(self.ids) - 1)  # the model has not read the last token of its own answer
        self.ids += tokens_of(place, line, begins=not self.ids)
        answer = json.loads(place.ask("/v1/completions", {
            "prompt": self.ids, "max_tokens": self.answer_tokens, "temperature": 0.7, "top_p": 0.95, "seed": SEED}))
        self.ids += answer["choices"][0]["token_ids"]
        usage = answer["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        turn = Turn(line, answer["choices"][0]["text"], usage["prompt_tokens"], cached, max(0, known - cached))
        self.turns.append(turn)
        return turn

    @staticmethod
    def fitting(place: Place) -> int:
        """Tokens for each answer, so that all turns fit the server's context."""
        context = json.loads(place.ask("/v1/models"))["data"][0]["max_model_len"]
        lines = sum(len(tokens_of(place, line, begins=True)) for line in LINES)
        return max(1, min(TURN_TOKENS, (context - lines) // len(LINES)))

    @property
    def words(self) -> str:
        return "".join(t.words for t in self.turns)
