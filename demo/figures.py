# SPDX-License-Identifier: Apache-2.0
"""make readme-figures: the README's picture from a demo run.

usage: python3 -m demo.figures RESULT.json FOLDER"""

from __future__ import annotations

import json
import sys
from html import escape
from pathlib import Path
from typing import Any

from demo import plots, report

LINE = 17  # between captions


def standalone(drawing: str, height: float, captions: tuple[str, ...], label: str) -> str:
    """A drawing of demo.plots as a file of its own: the page's colours inside, captions beneath."""
    inside = drawing[drawing.index(">") + 1:drawing.rindex("</svg>")]
    beneath = "".join(f'<text x="44" y="{height + LINE * (i + 1):.0f}">{escape(line)}</text>'
                      for i, line in enumerate(captions))
    whole = height + LINE * len(captions) + 13
    return (f'<svg viewBox="0 0 {plots.WIDTH} {whole:.0f}" xmlns="http://www.w3.org/2000/svg" role="img" '
            f'aria-label="{escape(label)}"><style>{report.STYLE}\nsvg {{ margin:0 }}</style>'
            f'<rect width="{plots.WIDTH}" height="{whole:.0f}" style="fill:var(--page)"/>{inside}'
            f"{beneath}</svg>\n")


def picture(result: dict[str, Any]) -> str:
    """The plot of tokens over time, date and machine beneath."""
    drawing = plots.tokens(result)
    if not drawing:
        raise ValueError("this run has no token stream")
    captions = (f"{result['date']}, {result['machine']}",
                f"link 1 Gbit/s, {result['model']}B of weights; remade by make readme-figures")
    return standalone(drawing, plots.TOKENS_HEIGHT + 5, captions,
                      "Tokens per second over time: the notch of pre-copy and the hole of stop-copy")


def main() -> int:
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        drawing = picture(json.loads(source.read_text()))
    except (OSError, ValueError, KeyError) as e:
        print(f"figures: {source}: {e}; run make demo first", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokens.svg").write_text(drawing)
    print(folder / "tokens.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
