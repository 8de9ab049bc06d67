# SPDX-License-Identifier: Apache-2.0
"""A conversation with a language model goes on where its VM has moved to: the same words as from a server that never
moved, and nothing of what was said is computed again."""

from __future__ import annotations

from demo import models
from demo.conversation import Conversation, Turn
from demo.place import Place
from demo.reference import Reference
from tests.e2e.machine import VM, VmTest

MODEL = models.READABLE


class LanguageModelTest(VmTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        assert MODEL.file
        cls.boot(programs=(models.SERVER,), files={"root/model.gguf": MODEL.file})
        argv = MODEL.argv("llm-server", "/root/model.gguf", f"0.0.0.0:{MODEL.port}")
        cls.ferry.guest("a", VM, "sh", "-c", f"{' '.join(argv)} >/tmp/llm 2>&1 &")
        cls.place = Place.outside(cls.lab, cls.ferry.must("a", "vm", "show", VM)["ip"], MODEL.port)
        assert cls.place.wait_ready(60), cls.ferry.guest("a", VM, "cat", "/tmp/llm")[1]

    def computed(self) -> float:
        """Prompt tokens that the server has computed, by its own counter."""
        return next(float(line.split()[1]) for line in self.place.ask("/metrics").splitlines()
                    if line.startswith("llm_prompt_tokens_computed_total "))

    def assert_only_new(self, talk: Conversation) -> None:
        """The next turn finds all that was said in the KV cache, its own last token aside, which no pass has read."""
        known, before = len(talk.ids) - 1, self.computed()
        turn: Turn = talk.turn(self.place)
        self.assertEqual((turn.cached, turn.recomputed), (known, 0))
        self.assertEqual(self.computed() - before, turn.prompt_tokens - known)

    def test_a_conversation_goes_on_after_each_move(self) -> None:
        moved, still = Conversation(), Conversation()
        moved.turn(self.place)
        self.assert_only_new(moved)
        self.migrate("a", "b", "--verify")
        self.assert_only_new(moved)
        self.migrate("b", "a", "--mode", "stop-copy", "--verify")
        self.assert_only_new(moved)
        with Reference(MODEL, self.lab.folder) as place:
            for _ in moved.turns:
                still.turn(place)
        self.assertEqual(moved.words, still.words)
        self.assertGreater(len(moved.ids), 200)
