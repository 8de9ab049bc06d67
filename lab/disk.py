# SPDX-License-Identifier: Apache-2.0
"""Disk images for guests, which mount the first of theirs under /mnt."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def make(path: Path, tree: Path, size: int) -> None:
    """An ext4 image of about `size` bytes with what is in `tree`. OSError when it cannot be made."""
    fresh = path.with_suffix(".new")
    with open(fresh, "wb") as f:
        f.truncate((size + 4095) // 4096 * 4096)
    done = subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(fresh)], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"mke2fs: {done.stderr.strip()}")
    os.replace(fresh, path)
