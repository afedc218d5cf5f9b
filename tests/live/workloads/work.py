# SPDX-License-Identifier: MIT
"""What a small Python program does to memory: imports, containers, regular
expressions, a large sparse buffer, frees, a child process."""
import hashlib
import json
import random
import re
import subprocess

random.seed(1)
table = {str(key): [random.random() for _ in range(40)] for key in range(3000)}
text = json.dumps(table)
again = json.loads(text)
digest = hashlib.sha256(text.encode()).hexdigest()
words = re.findall(r'\d+\.\d{3}', text)
sparse = bytearray(12 << 20)
sparse[::4096] = b'x' * len(sparse[::4096])
del table, text
blocks = [bytes(1000) for _ in range(10000)]
subprocess.run(['/bin/true'], check=True)
print(len(words), digest[:8], len(blocks))
