# SPDX-License-Identifier: MIT
"""Print a C program of argv[1] functions, always the same: food for compilers."""
import random
import sys


def function(number):
    body = [f'int r = x; for (int i = 0; i < {random.randint(5, 90)}; i++) {{',
            f'r += p->a[i % 2] * {random.randint(2, 99)};',
            f'switch (r % 7) {{ case 0: r ^= {random.randint(1, 9999)}; break;',
            'case 1: r += strlen(p->c); break; case 3: p->d = sqrt(p->d + r); break;',
            'default: r -= (int)p->d; }']
    if number:
        body.append(f'if (r & 8) r += f{random.randint(0, number - 1)}(r - 1, (void *)p);')
    return f'static int f{number}(int x, struct s{number} *p) {{ {" ".join(body)} }} return r; }}'


def main():
    random.seed(5)
    count = int(sys.argv[1])
    for header in ('stdio.h', 'stdlib.h', 'string.h', 'math.h'):
        print(f'#include <{header}>')
    for number in range(count):
        print(f'struct s{number} {{ int a[{random.randint(2, 20)}]; double d; struct s{number} *n; char *c; }};')
        print(function(number))
    print('int main(void) { int t = 0; static char b[4096];')
    for number in range(count):
        print(f't += f{number}({number}, (void *)b);')
    print('return t; }')


main()
