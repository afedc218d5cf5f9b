# SPDX-License-Identifier: MIT
"""Files as a C source, for embedded.h: embed.py OUTPUT FILE..."""
import pathlib
import sys


def main(output, *names):
    files = [pathlib.Path(name) for name in names]
    with open(output, 'w', encoding='utf-8') as out:
        out.write('/* Made by embed.py. */\n#include "arch/loaded/embedded.h"\n')
        for number, file in enumerate(files):
            content = file.read_bytes()
            out.write(f'static const unsigned char text_{number}[] = {{\n')
            for at in range(0, len(content), 20):
                out.write(','.join(str(byte) for byte in content[at:at + 20]) + ',\n')
            out.write('};\n')
        out.write('const struct arch_embedded arch_embedded[] = {\n')
        for number, file in enumerate(files):
            out.write(f'\t{{ "{file.name}", text_{number}, sizeof(text_{number}) }},\n')
        out.write('\t{ 0 },\n};\n')


main(*sys.argv[1:])
