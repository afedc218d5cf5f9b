# SPDX-License-Identifier: MIT
"""Long chains in circles, for the collector of circles."""
import gc


class Node:
    def __init__(self, other):
        self.other, self.text = other, 'x' * 50


for i in range(30):
    first = node = Node(None)
    for j in range(5000):
        node = Node(node)
    first.other = node
    gc.collect(i % 3)
