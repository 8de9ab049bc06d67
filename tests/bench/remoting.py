#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench-remoting native and through `ferry run`, in turn, and how the two compare.

usage: tests/bench/remoting.py BUILD OUT [PAIRS]

Ratios are taken pair by pair, since a shared machine's speed drifts: a figure of one run compares with
nothing. Writes OUT/remoting.json and OUT/remoting.svg, and prints the table. A missed target is said and is
no failure.
"""
import json
import statistics
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Callable

Pair = tuple[float, float]  # native, through ferry-vgpu


def added(most: float) -> Callable[[Pair], bool]:
    return lambda p: p[1] - p[0] <= most


def share(least: float) -> Callable[[Pair], bool]:
    return lambda p: p[1] >= least * p[0]


# case: what is asked of it, in words and as a test of the medians.
TARGETS: dict[str, tuple[str, Callable[[Pair], bool]]] = {
    "first call to first queue": ("under 50 ms", lambda p: p[1] < 50),
    "empty kernel and finish": ("at most 15 us more", added(15)),
    "pipelined launches": ("at least half", share(0.5)),
    "write of 64 MiB": ("at least 70%", share(0.7)),
    "read of 64 MiB": ("at least 70%", share(0.7)),
    "copy of 64 MiB": ("at least 70%", share(0.7)),
    "map and unmap of 64 MiB": ("no copy: under 1 ms", lambda p: p[1] < 1000),
    "warm program build": ("at most 5 ms more", added(5)),
}


def parse(text: str) -> dict[str, tuple[float, str]]:
    """What bench-remoting and bench-port-guest print."""
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") == 2]
    return {name: (float(value), unit) for name, value, unit in rows}


def run(command: list[str]) -> dict[str, tuple[float, str]]:
    return parse(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def spell(value: float, unit: str) -> str:
    if unit == "B/s":
        return f"{value / 1e9:.2f} GB/s"
    return f"{value:,.0f}/s" if unit == "1/s" else f"{value:.2f} {unit}"


def compare(pairs: list[tuple[dict, dict]]) -> list[dict]:
    rows = []
    for name, (_, unit) in pairs[0][0].items():
        values = [(native[name][0], vgpu[name][0]) for native, vgpu in pairs]
        medians = (statistics.median(v[0] for v in values), statistics.median(v[1] for v in values))
        # As speed, so that 1 is native and more is better, whatever the unit.
        speed = [v / n if unit.endswith("/s") else n / v for n, v in values]
        words, met = TARGETS.get(name, ("", None))
        rows.append({"case": name, "unit": unit, "native": medians[0], "vgpu": medians[1],
                     "of_native": statistics.median(speed), "pairs": values, "target": words or None,
                     "met": met(medians) if met else None})
    return rows


def table(rows: list[dict]) -> str:
    lines = [f"{'':28} {'native':>14} {'ferry run':>14} {'of native':>10}  target"]
    for r in rows:
        verdict = "" if r["met"] is None else f"{r['target']}: {'met' if r['met'] else 'MISSED'}"
        lines.append(f"{r['case']:28} {spell(r['native'], r['unit']):>14} {spell(r['vgpu'], r['unit']):>14} "
                     f"{r['of_native'] * 100:9.0f}%  {verdict}")
    return "\n".join(lines)


def plot(rows: list[dict]) -> str:
    """Bars of the speed through ferry-vgpu, native = 100%."""
    left, width, step = 220, 400, 24
    height = step * len(rows) + 50
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 160} {height}" '
             'font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             '<text x="10" y="18" font-weight="bold">speed through ferry run, native = 100%</text>',
             f'<line x1="{left + width * 2 // 3}" x2="{left + width * 2 // 3}" y1="26" y2="{height - 10}" stroke="#888"/>']
    for i, r in enumerate(rows):
        y = 30 + i * step
        bar = min(r["of_native"], 1.5) * width / 1.5
        colour = "#c0392b" if r["met"] is False else "#2d7dd2"
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(r["case"])}</text>'
                     f'<rect x="{left}" y="{y + 3}" width="{bar:.1f}" height="{step - 8}" fill="{colour}"/>'
                     f'<text x="{left + bar + 6:.1f}" y="{y + 14}">{r["of_native"] * 100:.0f}%, '
                     f'{escape(spell(r["vgpu"], r["unit"]))}</text>')
    return "\n".join(parts) + "</svg>\n"


def main() -> int:
    build, out = Path(sys.argv[1]), Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    program = str(build / "tests/bench-remoting")
    through = [str(build / "src/cli/ferry"), "run", "--profile", "ferry_cpu-2q", "--", program]
    pairs = [(run([program]), run(through)) for _ in range(count)]
    rows = compare(pairs)
    (out / "remoting.json").write_text(json.dumps({"schema": 1, "pairs": count, "cases": rows}, indent=1) + "\n")
    (out / "remoting.svg").write_text(plot(rows))
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
