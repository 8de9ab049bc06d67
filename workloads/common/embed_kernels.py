#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a C file holding kernel sources: embed_kernels.py OUT.c A.cl B.cl ... (order is kept)."""
import os
import sys


def literal(line):
    return '\t"' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"'


def main(out, sources):
    with open(out, "w", encoding="ascii") as f:
        f.write("// Made by embed_kernels.py; do not edit.\n")
        f.write('#include "program.h"\n\nconst struct kernel_source kernel_sources[] = {\n')
        for path in sources:
            with open(path, encoding="ascii") as s:
                lines = s.read().splitlines()
            name = os.path.splitext(os.path.basename(path))[0]
            f.write('{ "%s",\n%s },\n' % (name, "\n".join(map(literal, lines))))
        f.write("};\n\nconst unsigned kernel_source_count = %d;\n" % len(sources))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
