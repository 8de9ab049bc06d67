# SPDX-License-Identifier: Apache-2.0
"""Checks what the tree promises: an SPDX line in each source file, includes that respect the layers
of docs/architecture.md, and files and functions of bounded size. Prints each violation; the sizes'
medians at the end."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path

SPDX = "SPDX-License-Identifier: Apache-2.0"
SPDX_SUFFIXES = {".c", ".h", ".py", ".def", ".cl"}
FILE_MAX, FUNCTION_MAX = 1200, 80

# Folder under src/ -> the folders it may include (besides itself), from docs/architecture.md.
LAYERS = {
    "base": set(),
    "pages": {"base"},
    "wire": {"base"},
    "engine": {"base"},
    "vgpu": {"base", "pages", "wire"},
    "vm": {"base"},
    "relay": {"base", "wire"},
    "host": {"base", "pages", "wire", "engine", "vgpu", "vm", "relay"},
    "guest": {"base", "vgpu"},
    "cli": {"base", "vgpu", "host"},
    "web": {"base"},
}
# All that they may know of the vGPU and the daemon: tables.
PARTS = {"guest": ("vgpu/protocol",), "cli": ("vgpu/profile", "host/settings_table")}


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    return [Path(p) for p in done.stdout.splitlines() if Path(p).is_file()]


def spdx(path: Path) -> list[str]:
    first = path.read_text(errors="replace").splitlines()[:2]
    return [] if not first or any(SPDX in line for line in first) else [f"{path}: no SPDX line"]


def layers(path: Path) -> list[str]:
    if path.parts[0] != "src" or path.parts[1] not in LAYERS:
        return [f"{path}: a folder that architecture.md does not know"] if path.parts[0] == "src" else []
    own, problems = path.parts[1], []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"(([a-z]+)/[^"]+)"', line)
        if not found or found[2] == own:
            continue
        allowed = found[2] in LAYERS[own] and (own not in PARTS or found[2] not in ("vgpu", "host")
                                               or found[1].startswith(PARTS[own]))
        if not allowed:
            problems.append(f"{path}:{number}: src/{own} must not use {found[1]}")
    return problems


def functions(text: str) -> list[tuple[int, int]]:
    """(first line, number of lines) of each function of a formatted C file: the body's braces stand alone."""
    found, start = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            found.append((start, number - start - 1))
            start = 0
    return found


def main() -> int:
    problems, file_sizes, function_sizes = [], [], []
    for path in tracked():
        if path.suffix in SPDX_SUFFIXES:
            problems += spdx(path)
        if path.suffix not in (".c", ".h"):
            continue
        problems += layers(path)
        text = path.read_text()
        file_sizes.append(len(text.splitlines()))
        if file_sizes[-1] > FILE_MAX:
            problems.append(f"{path}: {file_sizes[-1]} lines, at most {FILE_MAX}")
        for line, size in functions(text):
            function_sizes.append(size)
            if size > FUNCTION_MAX:
                problems.append(f"{path}:{line}: a function of {size} lines, at most {FUNCTION_MAX}")
    print("\n".join(problems))
    tenth = statistics.quantiles(function_sizes, n=10)[8]
    print(f"files: median {statistics.median(file_sizes):.0f} lines, largest {max(file_sizes)}; functions: median "
          f"{statistics.median(function_sizes):.0f}, nine in ten up to {tenth:.0f}, largest {max(function_sizes)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
