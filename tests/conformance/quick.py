# SPDX-License-Identifier: Apache-2.0
"""In which mode a suite runs. The full modes of some try millions of values or every image format at many sizes: hours
on a CPU. --quick takes the short modes that the suite itself offers: CL_WIMPY_MODE everywhere, which tries every
2^n-th value, and for images one fixed range of small sizes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mode:
    arguments: tuple[str, ...] = ()  # after the test's name
    environment: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([*(f"{k}={v}" for k, v in self.environment.items()), *self.arguments])


_WIMPY = {"CL_WIMPY_MODE": "1"}
_ARGUMENTS = {
    "cl_copy_images": ("small_images",),
    "cl_read_write_images": ("small_images",),
    "image_streams": ("small_images", "CL_FILTER_NEAREST"),
}


def mode(suite: str, quick: bool) -> Mode:
    return Mode(_ARGUMENTS.get(suite, ()), _WIMPY) if quick else Mode()
