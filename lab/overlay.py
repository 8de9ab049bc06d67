# SPDX-License-Identifier: Apache-2.0
"""Files that `ferry vm create --overlay` adds to a guest's root."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import model


def build(folder: Path, programs: tuple[str, ...]) -> Path:
    """A folder with these programs of the guest's build (build/release, never sanitized) in /usr/bin."""
    root = folder / "overlay"
    shutil.rmtree(root, ignore_errors=True)
    (root / "usr/bin").mkdir(parents=True)
    for program in programs:
        shutil.copy(model.ROOT / "build/release" / program, root / "usr/bin")
    return root
