#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a C file with the Unicode ranges of letters, numbers and white space, as Python's own database
has them: unicode_ranges.py OUT.c"""
import sys
import unicodedata

# White_Space in Unicode's PropList.txt, which the database does not hold.
SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}


def kind(code):
    if code in SPACE:
        return "SPACE"
    return {"L": "LETTER", "N": "NUMBER"}.get(unicodedata.category(chr(code))[0])


def ranges():
    start, now = 0, None
    for code in range(0x110001):
        k = kind(code) if code < 0x110000 else None
        if k != now:
            if now:
                yield start, code - 1, now
            start, now = code, k


def main(out):
    with open(out, "w", encoding="ascii") as f:
        f.write(f"// Made by unicode_ranges.py from Unicode {unicodedata.unidata_version}; do not edit.\n"
                '#include "split.h"\n\nconst struct unicode_range unicode_ranges[] = {\n')
        rows = list(ranges())
        for first, last, k in rows:
            f.write(f"{{ 0x{first:x}, 0x{last:x}, UNICODE_{k} }},\n")
        f.write("};\n\nconst unsigned unicode_range_count = %d;\n" % len(rows))


if __name__ == "__main__":
    main(sys.argv[1])
