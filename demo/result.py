# SPDX-License-Identifier: Apache-2.0
"""build/demo/result.json: the contract's fields, what the report draws besides, and the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

STUN_MAX_MS = 600
STUN_SHARE_MAX = 0.1  # of the stop-copy stun
LITTLE = 32 << 20  # bytes of a vGPU that take no longer to copy than the rest of a stun does

# A tick of the final list: did it hold, and in words.
Tick = tuple[bool, str]


def named(result: dict[str, Any], name: str) -> dict[str, Any]:
    """One of the run's migrations by the demo's name for it; {} when it did not come to that."""
    return next((m for m in result["migrations"] if m.get("demo") == name), {})


def rounds(migration: dict[str, Any]) -> list[dict[str, Any]]:
    return [r for v in migration.get("vgpus", []) for r in v.get("rounds", [])]


def ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value / 1000:.2f} s" if value >= 10000 else f"{value:.0f} ms"


def conversation_tick(c: dict[str, Any] | None) -> Tick:
    """The KV cache as a user would notice it."""
    if not c:
        return False, "no conversation came to its end"
    return (c["identical"] and c["recomputed_tokens"] == 0,
            f"a conversation of {c['turns']} turns, the last after the move: the same words as from a server that never moved; "
            f"{c['cached_tokens']} of {c['prompt_tokens']} prompt tokens were in the KV cache, recomputed: {c['recomputed_tokens']}")


def required(result: dict[str, Any]) -> list[Tick]:
    """Without each of these `make demo` fails."""
    pre, broken, stop = (named(result, n) for n in ("precopy", "killed", "stop-copy"))
    tokens = " and ".join(f"{m.get('tokens_compared', 0)} of the {m['name']} model" for m in result["models"])
    return [
        (bool(result["tokens_identical"]), f"tokens: {tokens or 'none'}, the same as of servers that never moved"),
        conversation_tick(result["conversation"]),
        (bool(result["connection_survived"]), "each client's one TCP connection survived"),
        (pre.get("outcome") == "completed" and len(rounds(pre)) >= 2,
         f"pre-copy made {len(rounds(pre))} rounds"),
        (pre.get("verified") is True, "the whole framebuffer's digests agreed on both sides"),
        (bool(broken) and broken.get("outcome") != "completed" and result["running_after_kill"] == broken.get("from"),
         "destination killed in the middle of the stun: the VM went on on its host"),
        (stop.get("outcome") == "completed" and result["log_lines"]["stop-copy"] == 1
         and result["log_lines"]["precopy"] >= 2,
         f"log: {result['log_lines']['precopy']} vGPU Page Transfer Start lines for pre-copy, "
         f"{result['log_lines']['stop-copy']} for stop-copy"),
        (bool(result["hashcat_found"]), f"hashcat, moved in the middle of its run, found {result['hashcat_password']}"),
        (not result["leftovers"], "nothing is left running" if not result["leftovers"]
         else "left behind: " + ", ".join(result["leftovers"])),
    ]


def aims(result: dict[str, Any]) -> list[Tick]:
    """What a good run shows; a busy machine may miss it."""
    pre, stop = result["precopy_stun_ms"], result["stop_copy_stun_ms"]
    if not pre or not stop:
        return []
    moved = sum(v["stun_bytes"] for v in named(result, "stop-copy").get("vgpus", []))
    if moved < LITTLE:
        return [(pre < STUN_MAX_MS, f"pre-copy's stun is {ms(pre)}; stop-copy's, {ms(stop)}, says little with {moved >> 20} MiB to copy")]
    return [(pre <= STUN_SHARE_MAX * stop and pre < STUN_MAX_MS,
             f"pre-copy's stun is {ms(pre)}, stop-copy's {ms(stop)}: {stop / pre:.0f} times longer")]


def write(result: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "result.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path
