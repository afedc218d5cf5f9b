# SPDX-License-Identifier: MIT
"""Work for processes that share a table by fork, and write into its reference counts."""
import multiprocessing


def work(number):
    return sum(len(str(i)) for i in range(number * 3000)) + len(table)


if __name__ == '__main__':
    table = {i: str(i) * 4 for i in range(50000)}
    with multiprocessing.get_context('fork').Pool(4) as pool:
        print(sum(pool.map(work, range(24))))
