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

HEIGHT = 388


def picture(result: dict[str, Any]) -> str:
    """The plot of tokens over time with the page's colours inside, date and machine beneath."""
    drawing = plots.tokens(result)
    if not drawing:
        raise ValueError("this run has no token stream")
    inside = drawing[drawing.index(">") + 1:drawing.rindex("</svg>")]
    captions = (f"{result['date']}, {result['machine']}",
                f"link 1 Gbit/s, {result['model']}B of weights; remade by make readme-figures")
    beneath = "".join(f'<text x="44" y="{HEIGHT - 30 + 17 * i}">{escape(line)}</text>' for i, line in enumerate(captions))
    return (f'<svg viewBox="0 0 {plots.WIDTH} {HEIGHT}" xmlns="http://www.w3.org/2000/svg" role="img" '
            f'aria-label="Tokens per second over time: the notch of pre-copy and the hole of stop-copy">'
            f"<style>{report.STYLE}\nsvg {{ margin:0 }}</style>"
            f'<rect width="{plots.WIDTH}" height="{HEIGHT}" style="fill:var(--page)"/>{inside}'
            f"{beneath}</svg>\n")


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
