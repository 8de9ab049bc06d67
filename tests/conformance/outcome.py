# SPDX-License-Identifier: Apache-2.0
"""What one run of one conformance test was worth, and which pairs of runs speak against the vGPU.

A test may pass because it could not have what it wanted to test; it says so in its output. Such a pass is
`partly`: it counts as no pass, and on the vGPU nothing may be left out that was tested natively."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field

GOOD = ("pass", "partly")
OUTCOMES = (*GOOD, "skip", "fail", "crash", "timeout")
_LEFT_OUT = re.compile(r"\bskip(s|ped|ping)?\b|\bunsupported\b|(\bnot|n't|\bnever) (be )?(support|available|tested)", re.I)
_CHANGING = re.compile(r"0x[0-9a-f]+|\d+(\.\d+)?", re.I)


@dataclass
class Outcome:
    word: str  # one of OUTCOMES
    why: str = ""
    left_out: list[str] = field(default_factory=list)


def left_out(output: str) -> list[str]:
    """What the test says it did not test, each once, without what changes from run to run."""
    lines = (_CHANGING.sub("#", line.strip()) for line in output.splitlines() if _LEFT_OUT.search(line))
    return sorted(set(lines))


def _complaint(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if re.search(r"error|fail", line, re.I)]
    return lines[0][:200] if lines else ""


def classify(status: int | None, said: str | None, output: str) -> Outcome:
    """`status`: the exit status, below 0 a signal's number, None when time was up. `said`: what the suite's own
    result file has for the test, None when there is none."""
    if status is None:
        return Outcome("timeout")
    if status < 0 or status > 128:  # `ferry run` passes a signal on as 128 + its number
        number = -status if status < 0 else status - 128
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return Outcome("crash", name)
    if said == "skip":
        return Outcome("skip", "; ".join(left_out(output))[:200])
    if status or said != "pass":
        return Outcome("fail", _complaint(output) or f"exit {status}, result {said}")
    omitted = left_out(output)
    return Outcome("partly" if omitted else "pass", left_out=omitted)


def regression(native: Outcome, vgpu: Outcome) -> str:
    """Why the pair speaks against the vGPU; '' when it does not."""
    if native.word not in GOOD:
        return ""
    if vgpu.word not in GOOD:
        return f"{vgpu.word}: {vgpu.why}" if vgpu.why else vgpu.word
    omitted = [line for line in vgpu.left_out if line not in native.left_out]
    return f"left out: {omitted[0]}" if omitted else ""
