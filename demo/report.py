# SPDX-License-Identifier: Apache-2.0
"""build/demo/report.html: one page, nothing loaded from elsewhere, for people."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from demo import plots, table
from demo.result import aims, ms, named, required, rounds

# The series' colours keep their order and distance in both schemes.
STYLE = """
:root { --page:#fbfaf7; --card:#ffffff; --ink:#1d2730; --soft:#66717b; --line:#e3e1da; --sea:#1f6f8b; --foam:#cfe5ec;
  --buoy:#d1495b; --sand:#e9b872; --band:#eef1ee; --good:#2e7d4f;
  --p1:#8d99a6; --p2:#1f6f8b; --p3:#59a5b8; --p4:#e9b872; --p5:#7a6c9d; --p6:#2e7d4f; --p7:#d98f6c; }
@media (prefers-color-scheme: dark) { :root { --page:#12181d; --card:#1a2229; --ink:#e6e9e8; --soft:#93a0aa;
  --line:#2c363e; --sea:#62bcd6; --foam:#1e3d49; --buoy:#ef7484; --sand:#d9a95f; --band:#202a31; --good:#6cc08f;
  --p1:#7c8894; --p2:#62bcd6; --p3:#2f7f96; --p4:#d9a95f; --p5:#a797d1; --p6:#6cc08f; --p7:#d98f6c; } }
* { box-sizing:border-box } body { margin:0; background:var(--page); color:var(--ink);
  font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif }
main { max-width:980px; margin:0 auto; padding:48px 24px 72px }
h1 { font-size:34px; line-height:1.15; margin:0 0 8px; letter-spacing:-.02em } h2 { font-size:19px; margin:0 0 4px }
p { margin:0 0 12px; color:var(--soft) } .lead { font-size:18px; max-width:44em }
section { background:var(--card); border:1px solid var(--line); border-radius:14px; padding:24px 26px; margin-top:22px }
.figures { display:grid; grid-template-columns:repeat(auto-fit,minmax(170px,1fr)); gap:14px; margin-top:28px }
.figures div { background:var(--card); border:1px solid var(--line); border-radius:14px; padding:16px 18px }
.figures b { display:block; font-size:30px; letter-spacing:-.02em; font-variant-numeric:tabular-nums }
.figures span { color:var(--soft); font-size:14px } .big b { color:var(--sea) } .bad b { color:var(--buoy) }
svg { width:100%; height:auto; display:block; margin-top:12px; overflow:visible }
svg text { fill:var(--soft); font:12px system-ui,sans-serif } svg .mark { fill:var(--ink); font-weight:600; font-size:13px }
.grid { stroke:var(--line) } .band { fill:var(--band) } .stun, .stunned { fill:var(--buoy) } .area { fill:var(--foam) }
.curve { fill:none; stroke:var(--sea); stroke-width:2; stroke-linejoin:round } .dirty { fill:var(--sand) }
.rest { fill:var(--line) } .part-drain_ms { fill:var(--p1); background:var(--p1) } .part-vgpu_ms { fill:var(--p2);
  background:var(--p2) } .part-ram_ms { fill:var(--p3); background:var(--p3) } .part-device_ms { fill:var(--p4);
  background:var(--p4) } .part-seal_ms { fill:var(--p5); background:var(--p5) } .part-commit_ms { fill:var(--p6);
  background:var(--p6) } .part-resume_ms { fill:var(--p7); background:var(--p7) }
.legend span { margin-right:16px; font-size:14px; white-space:nowrap } .key { display:inline-block; width:11px;
  height:11px; border-radius:3px; margin-right:6px }
.scroll { overflow-x:auto } table { border-collapse:collapse; width:100%; font-size:14px; font-variant-numeric:tabular-nums }
th, td { text-align:left; padding:7px 12px 7px 0; border-bottom:1px solid var(--line); white-space:nowrap }
th { color:var(--soft); font-weight:500 } ul { list-style:none; padding:0; margin:0 } li { padding:3px 0 }
li::before { content:"✓ "; color:var(--good); font-weight:700 } li.no::before { content:"✗ "; color:var(--buoy) }
h3 { font-size:14px; margin:14px 0 2px; color:var(--soft); font-weight:500 } blockquote { margin:0; font:17px/1.5 Georgia,serif }
mark { background:var(--buoy); color:var(--card); border-radius:4px; padding:0 5px;
  font:13px system-ui,sans-serif; white-space:nowrap }
footer { color:var(--soft); font-size:14px; margin-top:24px }
"""


def figure(value: str, words: str, css: str = "") -> str:
    return f'<div class="{css}"><b>{escape(value)}</b><span>{escape(words)}</span></div>'


def section(title: str, words: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(words)}</p>{body}</section>" if body else ""


def headline(result: dict[str, Any]) -> str:
    own = None
    if result["precopy_stun_ms"] and result["no_vgpu_stun_ms"] is not None:
        own = result["precopy_stun_ms"] - result["no_vgpu_stun_ms"]
    return '<div class="figures">' + "".join([
        figure(ms(result["precopy_stun_ms"]), "paused, pre-copy", "big"),
        figure(ms(result["stop_copy_stun_ms"]), "paused, stop-copy", "bad"),
        figure(ms(own) if own is not None else "–", "of the pre-copy stun is Ferry's own part"),
        figure(str(result["tokens_compared"]), "tokens compared with a run that never moved")]) + "</div>"


def reader(result: dict[str, Any]) -> str:
    """What was read across each pause."""
    rows = [(plots.SHORT.get(m["demo"], m["demo"]), line) for m in result["migrations"] for line in m.get("reader", [])]
    return "".join(f"<h3>{escape(name)}</h3><blockquote>{pause_marked(line)}</blockquote>" for name, line in rows)


def pause_marked(line: str) -> str:
    return escape(line).replace("⟨", "<mark>").replace("⟩", "</mark>")


def results_table(result: dict[str, Any]) -> str:
    head = "".join(f"<th>{escape(c)}</th>" for c in table.HEAD)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in table.row(m)) + "</tr>" for m in result["migrations"])
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def ticks(result: dict[str, Any]) -> str:
    return "<ul>" + "".join(f'<li class="{"yes" if good else "no"}">{escape(words)}</li>'
                            for good, words in required(result) + aims(result)) + "</ul>"


def sections(result: dict[str, Any]) -> str:
    pre = named(result, "precopy")
    return "".join([
        section("Tokens per second, seen from outside", "One client and one TCP connection for each model, both together. "
                "Bands are migrations, red is the time in which the guest stood still.", plots.tokens(result)),
        section("What the reader saw", "The readable model's words on both sides of the longest wait in each migration, and "
                "how long it was.", reader(result)),
        section("Bytes left, round by round", f"The pre-copy migration: {len(rounds(pre))} rounds while the guest ran, each "
                "sending what was written during the one before, until the rest fits the pause.", plots.left_per_round(pre)),
        section("What a pause is made of", "Pre-copy against stop-copy, on one scale. The vGPU's rest and the RAM's go side "
                "by side.", plots.stuns(result, ("precopy", "stop-copy")) + plots.legend()),
        section("The short ones, closer", "The same without stop-copy: the VM without a vGPU shows what is QEMU's own.",
                plots.stuns(result, ("precopy", "no-vgpu", "hashcat")) + plots.legend()),
        section("All migrations of this run", "", results_table(result)),
        section("What had to hold", "", ticks(result))])


def page(result: dict[str, Any]) -> str:
    served = " and ".join(m["title"] for m in result["models"]) or "language models"
    lead = (f"A VM with a vGPU moved between two hosts over a link of 1 Gbit/s while it served {served}. Every number here was "
            "measured in this run.")
    about = (f"{result['date']} · {result['machine']} · accelerator {result['accel']} · tracker {result['tracker']} · "
             f"took {result.get('seconds', 0):.0f} s")
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,'
            f'initial-scale=1"><title>Ferry: a run of the demo</title><style>{STYLE}</style><main><h1>It moved, and nobody '
            f'noticed</h1><p class="lead">{escape(lead)}</p>{headline(result)}{sections(result)}'
            f'<footer>{escape(about)}</footer></main></html>\n')


def write(result: dict[str, Any], folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(page(result))
    return path
