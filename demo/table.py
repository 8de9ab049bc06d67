# SPDX-License-Identifier: Apache-2.0
"""The final table as text."""

from __future__ import annotations

from typing import Any

from demo.display import size
from demo.result import ms, rounds

HEAD = ("", "stun", "forecast", "total", "rounds", "bytes in each", "in the stun", "client's gap")
TITLES = {"precopy": "pre-copy", "killed": "destination killed", "stop-copy": "stop-copy",
          "no-vgpu": "the same VM, no vGPU", "hashcat": "hashcat, pre-copy"}


def row(m: dict[str, Any]) -> tuple[str, ...]:
    in_each = rounds(m)
    each = ", ".join(size(r["bytes"]) for r in in_each[:4]) + (" ..." if len(in_each) > 4 else "")
    stun_bytes = sum(v.get("stun_bytes", 0) for v in m.get("vgpus", [])) + m.get("ram", {}).get("stun_bytes", 0)
    done = m.get("outcome") == "completed"
    return (TITLES.get(m["demo"], m["demo"]), ms(m.get("stun_ms")) if done else str(m.get("outcome")),
            ms(m.get("forecast_at_switchover_ms")) if done else "–", ms(m.get("total_ms")), str(len(in_each)), each or "–",
            size(stun_bytes) if done else "–", ms(m.get("client_gap_ms")))


def service(result: dict[str, Any]) -> list[str]:
    """Tokens a second, and the time from token to token, before, during and after the pre-copy migration."""
    out = []
    for m in [*result["models"], {"name": "together", "tokens_per_s": result["tokens_per_s"]}]:
        rate, wait = m["tokens_per_s"], m.get("latency_ms")
        out.append(f"  {m['name'] + ':':<10} {rate['before']:5.1f} tokens/s before, {rate['during']:.1f} during the pre-copy "
                   f"migration, {rate['after']:.1f} after"
                   + (f"; from token to token p50 {wait['before']['p50']:.0f}, p99 {wait['before']['p99']:.0f} ms over "
                      f"{wait['before']['seconds']:.0f} s before, p50 {wait['after']['p50']:.0f}, p99 "
                      f"{wait['after']['p99']:.0f} ms over {wait['after']['seconds']:.0f} s after" if wait else ""))
    return out


def lines(result: dict[str, Any]) -> list[str]:
    table = [HEAD, *(row(m) for m in result["migrations"])]
    widths = [max(len(r[i]) for r in table) for i in range(len(HEAD))]
    out = ["  " + "  ".join(cell.ljust(w) for cell, w in zip(r, widths)).rstrip() for r in table]
    out.insert(1, "  " + "─" * (sum(widths) + 2 * len(widths) - 2))
    out += ["", *service(result)]
    if result["precopy_stun_ms"] and result["no_vgpu_stun_ms"] is not None:
        own = result["precopy_stun_ms"] - result["no_vgpu_stun_ms"]
        out.append(f"  Ferry's own part of the pre-copy stun: {ms(result['precopy_stun_ms'])} less "
                   f"{ms(result['no_vgpu_stun_ms'])} without a vGPU = {own:.0f} ms")
    verify = max((m.get("verify_ms") or 0 for m in result["migrations"]), default=0)
    out.append(f"  client's gap: the longest wait for a token in the whole migration; it includes up to {ms(verify)} in which both "
               "framebuffers were compared (--verify), no part of the stun")
    return out
