# SPDX-License-Identifier: Apache-2.0
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.conformance.quick import mode  # noqa: E402 - found by the line above


class ModeTest(unittest.TestCase):
    def test_a_program_gets_its_tests_name_before_the_modes_arguments(self) -> None:
        self.assertEqual(mode("half", False).argv("vload_half"), ["vload_half"])
        self.assertEqual(mode("image_streams", True).argv("2D"), ["2D", "small_images", "CL_FILTER_NEAREST"])

    def test_atomics_get_their_number_last_where_alone_their_suite_reads_it(self) -> None:
        self.assertEqual(mode("c11_atomics", True).argv("atomic_init")[-2:], ["-internalIterations", "1000"])

    def test_a_function_of_scalars_is_tried_with_as_few_values_as_its_suite_recommends(self) -> None:
        self.assertEqual(mode("bruteforce", True).argv("sin"), ["sin", "-1[1024]"])

    def test_conversions_never_gets_a_tests_name_and_quickly_gets_some_conversions(self) -> None:
        self.assertEqual(mode("conversions", False).argv("conversions"), [])
        arguments = mode("conversions", True).argv("conversions")
        self.assertIn("int_sat_rte_float", arguments)
        self.assertNotIn("conversions", arguments)

    def test_only_quick_is_wimpy_and_says_so(self) -> None:
        self.assertEqual(str(mode("select", True)), "CL_WIMPY_MODE=1")
        self.assertEqual(str(mode("select", False)), "")


if __name__ == "__main__":
    unittest.main()
