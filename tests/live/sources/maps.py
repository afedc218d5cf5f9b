# SPDX-License-Identifier: MIT
"""A file mapped shared and private, resized, and written to from a child as well."""
import mmap
import os

with open('file', 'w+b') as file:
    file.truncate(1 << 20)
    shared = mmap.mmap(file.fileno(), 0)
    private = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    for size in (2, 4, 8, 3, 1):
        for at in range(0, len(shared), 4096):
            shared[at] = at & 255
        for at in range(0, len(private), 8192):
            private[at] = 1
        if not os.fork():
            shared[5] = private[7] = 9
            os._exit(0)
        os.wait()
        shared.flush()
        shared.resize(size << 20)
