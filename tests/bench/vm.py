# SPDX-License-Identifier: Apache-2.0
"""OpenCL calls in a VM against what its virtio-serial port gives without Ferry, in turns.

bench-remoting runs in a guest with a vGPU, bench-port-guest in another whose port ends in a plain echo, sink
and source. Ratios are taken turn by turn. Environment: TURNS (default 3). Writes vm.json. A missed target is
said and is no failure."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from pathlib import Path
from typing import Any, Callable

from lab import lifecycle, overlay
from tests.bench.machine import BenchError, Machine, facts, say
from tests.bench.remoting import parse, spell

TURNS = int(os.environ.get("TURNS", "3"))
GUEST = ("tests/bench-remoting", "tests/bench-port-guest")

Figures = dict[str, tuple[float, str]]

# case of bench-remoting: the port's figure beside it, the target in words and as a test of (value, of the port).
TARGETS: dict[str, tuple[str, str, Callable[[float, float], bool]]] = {
    "pipelined launches": ("", "at least 50,000/s", lambda v, _: v >= 50000),
    "empty kernel and finish": ("port, round trip", "at most twice the port's", lambda _, r: r <= 2),
    "read of 4 bytes": ("port, round trip", "at most twice the port's", lambda _, r: r <= 2),
    "write of 64 MiB": ("port, to the host", "at least 80% of the port", lambda _, r: r >= 0.8),
    "read of 64 MiB": ("port, from the host", "at least 80% of the port", lambda _, r: r >= 0.8),
}


def raw_port(machine: Machine, build: Path) -> Figures:
    files = overlay.build(machine.lab.folder / "port", GUEST)
    argv = [str(build / "tests/bench-port-host"), str(machine.lab.folder / "port/vm"), str(files)]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "FERRY_IMAGE": str(lifecycle.image_folder())})
    if done.returncode:
        raise BenchError(f"bench-port-host: {done.stderr.strip()[-300:]}")
    return parse(done.stdout)


def compare(turns: list[Figures]) -> list[dict[str, Any]]:
    rows = []
    for name, (_, unit) in turns[0].items():
        value = statistics.median(t[name][0] for t in turns)
        port, words, met = TARGETS.get(name, ("", "", None))
        of_port = statistics.median(t[name][0] / t[port][0] for t in turns) if port else None
        rows.append({"case": name, "unit": unit, "value": value, "of_port": of_port, "target": words or None,
                     "met": met(value, of_port or 0) if met else None, "turns": [t[name][0] for t in turns]})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'':28} {'in the VM':>14} {'of the port':>12}  target"]
    for r in rows:
        ratio = f"{r['of_port']:.2f}" if r["of_port"] else ""
        verdict = "" if r["met"] is None else f"{r['target']}: {'met' if r['met'] else 'MISSED'}"
        lines.append(f"{r['case']:28} {spell(r['value'], r['unit']):>14} {ratio:>12}  {verdict}".rstrip())
    return "\n".join(lines)


def run(build: Path, out: Path) -> None:
    turns: list[Figures] = []
    with Machine("ferry_cpu-05q", "256M", GUEST) as machine:
        for i in range(TURNS):
            inside = parse(machine.guest("a", "bench-remoting", timeout=300))
            turns.append({**inside, **raw_port(machine, build)})
            say(f"turn {i + 1} of {TURNS}")
        result = {"schema": 1, **facts(machine), "cases": compare(turns)}
    (out / "vm.json").write_text(json.dumps(result, indent=1) + "\n")
    print(table(result["cases"]))
