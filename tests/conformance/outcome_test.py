# SPDX-License-Identifier: Apache-2.0
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.conformance.outcome import Outcome, classify, regression  # noqa: E402 - found by the line above


class OutcomeTest(unittest.TestCase):
    def test_the_suites_own_word_and_the_exit_status_must_agree(self) -> None:
        self.assertEqual(classify(0, "pass", "vector passed").word, "pass")
        self.assertEqual(classify(0, None, "vector passed").word, "fail")
        self.assertEqual(classify(1, "pass", "").word, "fail")
        self.assertEqual(classify(1, "fail", "hello\nERROR: wrong sum\n"), Outcome("fail", "ERROR: wrong sum"))

    def test_a_signal_is_a_crash_natively_and_through_ferry_run(self) -> None:
        self.assertEqual(classify(-11, None, ""), Outcome("crash", "SIGSEGV"))
        self.assertEqual(classify(139, None, ""), Outcome("crash", "SIGSEGV"))
        self.assertEqual(classify(None, None, "").word, "timeout")

    def test_what_was_left_out_is_no_whole_pass(self) -> None:
        for line in ("Skipping half because cl_khr_fp16 extension is not supported.", "device doesn't support pipes",
                     "Image format unsupported", "sub-groups are not available here", "Test skipped."):
            self.assertEqual(classify(0, "pass", f"one\n{line}\n").word, "partly", line)
        self.assertEqual(classify(0, "skip", "skipped: no SVM").word, "skip")

    def test_what_passes_natively_must_pass_on_the_vgpu(self) -> None:
        for word in ("skip", "fail", "crash", "timeout"):
            self.assertTrue(regression(Outcome("pass"), Outcome(word)))
            self.assertTrue(regression(Outcome("partly", left_out=["x"]), Outcome(word)))
            self.assertFalse(regression(Outcome(word), Outcome("fail")))
        self.assertFalse(regression(Outcome("pass"), Outcome("pass")))

    def test_the_vgpu_leaves_out_no_more_than_the_driver(self) -> None:
        native = classify(0, "pass", "half not supported (2 of 9)")
        self.assertFalse(regression(native, classify(0, "pass", "half not supported (3 of 12)")))
        self.assertFalse(regression(native, classify(0, "pass", "")))
        self.assertIn("sub-devices", regression(native, classify(0, "pass", "sub-devices not supported")))


if __name__ == "__main__":
    unittest.main()
