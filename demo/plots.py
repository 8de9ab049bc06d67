# SPDX-License-Identifier: Apache-2.0
"""The report's plots as inline SVG. Colours are CSS variables of the page (report.py), so that one
drawing serves light and dark."""

from __future__ import annotations

from html import escape
from typing import Any

from demo.display import size
from demo.result import ms, named, rounds

WIDTH = 860
TOKENS_HEIGHT = 336  # of tokens()
PARTS = (("drain_ms", "drain"), ("vgpu_ms", "vGPU rest"), ("ram_ms", "RAM rest"), ("device_ms", "device state"),
         ("seal_ms", "seal"), ("commit_ms", "commit"), ("resume_ms", "resume"))
SHORT = {"precopy": "pre-copy", "killed": "destination killed", "stop-copy": "stop-copy", "no-vgpu": "no vGPU",
         "hashcat": "hashcat"}


def text(x: float, y: float, words: str, css: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(words)}</text>'


def rect(x: float, y: float, w: float, h: float, css: str, title: str = "") -> str:
    inner = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 0.6):.1f}" height="{h:.1f}" class="{css}">{inner}</rect>'


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def svg(height: float, parts: list[str], label: str) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}" '
            f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>')


def nice_step(top: float, ticks: int) -> float:
    """A round step so that about `ticks` of them reach `top`."""
    raw, power = top / ticks, 1.0
    while power * 10 <= raw:
        power *= 10
    while power > raw:
        power /= 10
    return next(power * k for k in (1, 2, 5, 10) if power * k >= raw)


def smooth(history: list[Any], bins: int = 4) -> list[tuple[float, float]]:
    """Over a second: a token every 80 ms makes quarter seconds jump. A second without any stays 0."""
    out = []
    for i, (t, _) in enumerate(history):
        near = [r for _, r in history[max(0, i - bins + 1):i + 1]]
        out.append((t, sum(near) / len(near)))
    return out


def tokens(result: dict[str, Any], unit: str = "tokens") -> str:
    """Tokens (or whatever the stream counts) a second over time, migrations as bands, their stuns as marks."""
    history = smooth(result.get("stream") or [])
    if not history:
        return ""
    left, top, bottom = 44.0, 64.0, 300.0
    end = history[-1][0] or 1
    peak = max(r for _, r in history) * 1.1 or 1

    def x(t: float) -> float:
        return left + (WIDTH - left - 10) * t / end

    def y(rate: float) -> float:
        return bottom - (bottom - top) * rate / peak

    parts = []
    step = nice_step(peak, 4)
    for i in range(int(peak / step) + 1):
        parts += [line(left, y(i * step), WIDTH - 10, y(i * step), "grid"),
                  text(left - 6, y(i * step) + 4, f"{i * step:g}", "axis", "end")]
    step = nice_step(end, 8)
    parts += [text(x(i * step), bottom + 18, f"{i * step:g} s", "axis", "middle") for i in range(int(end / step) + 1)]
    for m in (m for m in result["migrations"] if m.get("window_s")):
        a, b = (max(0.0, min(t, end)) for t in m["window_s"])
        parts.append(rect(x(a), top, x(b) - x(a), bottom - top, "band"))
        words = SHORT.get(m["demo"], m["demo"])
        done = f"paused {ms(m['stun_ms'])}" if m.get("outcome") == "completed" else "went on at its host"
        parts += [text((x(a) + x(b)) / 2, 14, words, "mark", "middle"),
                  text((x(a) + x(b)) / 2, 30, done, "note", "middle")]
        stun = m.get("stun_s") or [None, None]
        if None not in stun:
            parts.append(rect(x(stun[0]), top - 26, x(stun[1]) - x(stun[0]), bottom - top + 26, "stun",
                              f"stunned for {ms(m['stun_ms'])}"))
    path = " ".join(f"{x(t):.1f},{y(r):.1f}" for t, r in history)
    parts += [f'<polygon points="{x(0):.1f},{bottom} {path} {x(end):.1f},{bottom}" class="area"/>',
              f'<polyline points="{path}" class="curve"/>', text(left, top - 6, f"{unit}/s", "axis", "middle")]
    return svg(TOKENS_HEIGHT, parts, f"{unit} per second over time with the stuns marked")


def left_per_round(m: dict[str, Any]) -> str:
    """What each round sent and what was dirty after it; the last bar went in the stun."""
    bars = [(f"round {r['n']}", r["bytes"], r["dirty_bytes"]) for r in rounds(m)]
    if not bars:
        return ""
    in_stun = sum(v.get("stun_bytes", 0) for v in m.get("vgpus", []))
    bars.append(("in the stun", in_stun, 0))
    most = max(max(sent, dirty) for _, sent, dirty in bars) or 1
    left, width = 110.0, WIDTH - 110.0 - 110.0
    parts, row = [], 0.0
    for name, sent, dirty in bars:
        css = "part-vgpu_ms" if name != "in the stun" else "stunned"
        parts += [text(left - 10, row + 17, name, "axis", "end"),
                  rect(left, row + 4, width * sent / most, 15, css, f"{sent} bytes sent"),
                  text(left + width * sent / most + 8, row + 16, f"{size(sent)} sent", "note")]
        if dirty:
            parts += [rect(left, row + 21, width * dirty / most, 7, "dirty", f"{dirty} bytes dirty"),
                      text(left + width * dirty / most + 8, row + 29, f"{size(dirty)} left", "note")]
        row += 38
    return svg(row + 4, parts, "Bytes sent in each round and bytes left after it")


def stun_bar(m: dict[str, Any], row: float, left: float, scale: float) -> list[str]:
    """One stun from left to right in time; vGPU and RAM go side by side, so they share the height."""
    stun = {k: float((m.get("stun") or {}).get(k) or 0) for k, _ in PARTS}
    labels = dict(PARTS)

    def block(at: float, key: str, y: float, h: float) -> str:
        return rect(left + at * scale, y, stun[key] * scale, h, f"part-{key}", f"{labels[key]}: {ms(stun[key])}")

    at = stun["drain_ms"]
    parts = [rect(left, row, m["stun_ms"] * scale, 26, "rest", "handshakes and waiting"), block(0, "drain_ms", row, 26),
             block(at, "vgpu_ms", row, 12.5), block(at, "ram_ms", row + 13.5, 12.5),
             block(at + stun["ram_ms"], "device_ms", row + 13.5, 12.5)]
    at += max(stun["vgpu_ms"], stun["ram_ms"] + stun["device_ms"])
    for key in ("seal_ms", "commit_ms", "resume_ms"):
        parts.append(block(at, key, row, 26))
        at += stun[key]
    parts.append(text(left + max(at, m["stun_ms"]) * scale + 8, row + 18, ms(m["stun_ms"]), "mark"))
    parts.append(text(left - 10, row + 18, SHORT.get(m["demo"], m["demo"]), "axis", "end"))
    return parts


def stuns(result: dict[str, Any], names: tuple[str, ...]) -> str:
    """The parts of several stuns on one scale."""
    shown = [m for n in names if (m := named(result, n)) and m.get("outcome") == "completed" and m.get("stun_ms")]
    if not shown:
        return ""
    left = 110.0
    scale = (WIDTH - left - 90) / max(m["stun_ms"] for m in shown)
    parts: list[str] = []
    for i, m in enumerate(shown):
        parts += stun_bar(m, i * 38.0 + 4, left, scale)
    return svg(len(shown) * 38 + 4, parts, "The parts of each stun")


def legend() -> str:
    return '<p class="legend">' + "".join(
        f'<span><i class="key part-{key}"></i>{escape(name)}</span>' for key, name in PARTS) + "</p>"
