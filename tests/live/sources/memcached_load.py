# SPDX-License-Identifier: MIT
"""Values of many sizes for a memcached on the socket that is named, once it answers."""
import socket
import sys
import time

link = socket.socket(socket.AF_UNIX)
while link.connect_ex(sys.argv[1]):
    time.sleep(0.05)
for i in range(30000):
    link.sendall(b'set k%d 0 0 %d noreply\r\n%s\r\n' % (i, i % 900, b'v' * (i % 900)))
link.sendall(b'get k5\r\nquit\r\n')
while link.recv(65536):
    pass
