# SPDX-License-Identifier: Apache-2.0
"""How a suite's programs are called. The full modes of some try millions of values or every image format at many
sizes: hours on a CPU. --quick takes the short modes that the suite itself offers: CL_WIMPY_MODE everywhere, which
tries every 2^n-th value, and for some suites a part of what there is."""

from __future__ import annotations

from dataclasses import dataclass, field

_WIMPY = {"CL_WIMPY_MODE": "1"}
_ARGUMENTS = {
    "bruteforce": ("-1[1024]",),  # scalars, not vectors; of the values the part that its help recommends at most
    "c11_atomics": ("-internalIterations", "1000"),  # of 10,000
    "cl_copy_images": ("small_images",),
    "cl_read_write_images": ("small_images",),
    "conversions": ("uchar_sat_float", "int_sat_rte_float", "uint_sat_rtz_double", "float_rtp_long", "double_rtn_ulong",
                    "short_sat_int"),
    "image_streams": ("small_images", "CL_FILTER_NEAREST"),
}
# It takes names of conversions where the others take a test's: with its test's name it tries none, and passes.
_NAMELESS = ("conversions",)


@dataclass(frozen=True)
class Mode:
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    named: bool = True  # the test's name is the first argument

    def argv(self, test: str) -> list[str]:
        return [*([test] if self.named else []), *self.arguments]

    def __str__(self) -> str:
        return " ".join([*(f"{k}={v}" for k, v in self.environment.items()), *self.arguments])


def mode(suite: str, quick: bool) -> Mode:
    named = suite not in _NAMELESS
    return Mode(_ARGUMENTS.get(suite, ()), _WIMPY, named) if quick else Mode(named=named)
