# SPDX-License-Identifier: Apache-2.0
"""The table of docs/conformance.md: counts for each suite, and by name whatever does not pass on both."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.conformance.outcome import OUTCOMES

Row = dict[str, Any]


def _line(*cells: object) -> str:
    return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"


def _counts(rows: list[Row], way: str) -> str:
    n = Counter(r[way]["word"] for r in rows)
    return ", ".join(f"{n[word]} {word}" for word in OUTCOMES if n[word])


def _suites(rows: list[Row]) -> list[str]:
    lines = [_line("suite", "tests", "native", "vGPU", "pass natively only"), "|---|---|---|---|---|"]
    for suite in sorted({r["suite"] for r in rows}):
        own = [r for r in rows if r["suite"] == suite]
        lines.append(_line(suite, len(own), _counts(own, "native"), _counts(own, "vgpu"),
                           sum(bool(r["regression"]) for r in own)))
    lines.append(_line("**all**", len(rows), _counts(rows, "native"), _counts(rows, "vgpu"),
                       sum(bool(r["regression"]) for r in rows)))
    return lines


def _named(rows: list[Row]) -> list[str]:
    lines = [_line("suite", "test", "native", "vGPU", "against the vGPU"), "|---|---|---|---|---|"]
    return lines + [_line(r["suite"], r["test"], r["native"]["word"], r["vgpu"]["word"], r["regression"] or "-")
                    for r in rows]


def _modes(rows: list[Row]) -> str:
    modes = {r["mode"]: r["suite"] for r in rows if r["mode"]}
    return "; quick: " + ", ".join(f"`{mode}`" for mode in sorted(modes)) if modes else ""


def markdown(result: Row) -> str:
    rows = result["tests"]
    others = [r for r in rows if r["regression"] or {r["native"]["word"], r["vgpu"]["word"]} - {"pass", "partly", "skip"}]
    lines = [f"Suite {result['suite_version']}; driver {result['driver']}; profile {result['profile']}; "
             f"{result['timeout_s']:.0f} s for each run{_modes(rows)}.", "", *_suites(rows)]
    if others:
        lines += ["", "Tests that fail, crash or time out somewhere, or pass natively only:", "", *_named(others)]
    return "\n".join(lines) + "\n"
