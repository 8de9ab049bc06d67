# SPDX-License-Identifier: Apache-2.0
"""Files that `ferry vm create --overlay` adds to a guest's root."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import model


def build(folder: Path, programs: tuple[str, ...], files: dict[str, Path] | None = None) -> Path:
    """A folder with these programs of the guest's build (build/release, never sanitized) in /usr/bin, and
    these files by their place in the guest."""
    root = folder / "overlay"
    shutil.rmtree(root, ignore_errors=True)
    (root / "usr/bin").mkdir(parents=True)
    for program in programs:
        shutil.copy(model.ROOT / "build/release" / program, root / "usr/bin")
    for place, source in (files or {}).items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, root / place)
    return root
