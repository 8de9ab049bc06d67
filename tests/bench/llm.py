# SPDX-License-Identifier: Apache-2.0
"""Single-stream decode of the language-model server against a pure read of its weights, for each type of
weights, native and through `ferry run`. Each figure comes from one process that decodes and reads in turns
(llm-server --bench). Environment: MODEL, the size (256M). Writes llm.json. A missed target is said and is no
failure."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from tests.bench.machine import BenchError

SIZE = os.environ.get("MODEL", "256M")
TYPES = ("q8_0", "q4_0", "f16")
TOKENS = "110"
TARGET = 0.75

# What llm-server prints: figure and pattern.
FIGURES = {
    "tokens_per_s": r"^tokens/s: ([\d.]+)",
    "token_gb_per_s": r"weights read: ([\d.]+) GB/s",
    "read_gb_per_s": r"^pure read: ([\d.]+) GB/s",
    "ratio": r"^ratio: ([\d.]+)",
    "ratio_by_processor_time": r"processor time: ([\d.]+)",
    "streams_tokens_per_s": r"streams together: ([\d.]+)",
    "prompt_tokens_per_s": r"^prompt tokens/s.*: ([\d.]+)",
}


def measure(argv: list[str]) -> dict[str, float]:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{argv[0]}: exit {done.returncode}: {done.stderr.strip()[-500:]}")
    found = {name: re.search(pattern, done.stdout, re.MULTILINE) for name, pattern in FIGURES.items()}
    if missing := [name for name, m in found.items() if not m]:
        raise BenchError(f"llm-server printed no {', '.join(missing)}: {done.stdout}")
    return {name: float(m[1]) for name, m in found.items() if m}


def line(case: dict) -> str:
    # The processor time of a program under `ferry run` is in ferry-vgpu.
    own = f"{case['ratio_by_processor_time']:.2f}" if case["way"] == "native" else ""
    verdict = "met" if case["ratio"] >= TARGET else "MISSED"
    return (f"{case['weights'] + ', ' + case['way']:18} {case['token_gb_per_s']:9.2f} GB/s {case['read_gb_per_s']:7.2f} GB/s "
            f"{case['ratio']:7.2f} {own:>18}  at least {TARGET}: {verdict:8} "
            f"{case['streams_tokens_per_s']:9.1f}/s {case['prompt_tokens_per_s']:9.1f}/s")


def run(build: Path, out: Path) -> None:
    ways = {"native": [], "ferry run": [str(build / "src/cli/ferry"), "run", "--profile", "ferry_cpu-2q", "--"]}
    server = str(build / "workloads/llm/llm-server")
    cases = []
    print(f"{SIZE:18} {'a token reads':>14} {'a pure read':>12} {'ratio':>7} {'by processor time':>18}  {'target':22} "
          f"{'four streams':>11} {'a prompt':>11}")
    for weights in TYPES:
        for way, prefix in ways.items():
            figures = measure([*prefix, server, "--synthetic", SIZE, "--weights", weights, "--bench", TOKENS])
            cases.append({"weights": weights, "way": way, **figures})
            print(line(cases[-1]), flush=True)
    (out / "llm.json").write_text(json.dumps({"schema": 1, "size": SIZE, "target": TARGET, "cases": cases}, indent=1) + "\n")
