"""A bad line between client and server: ssh_relay.py PORT LIMIT cut|stall FLAG, for ProxyCommand.

The first time (FLAG is not there yet) it makes FLAG after LIMIT bytes to the server, and then ends
(``cut``) or passes nothing on any more until the server hangs up (``stall``). After that it is a
good line.
"""

import os
import socket
import sys
import threading
from pathlib import Path


def main(port: str, limit: str, mode: str, flag: str) -> None:
    server = socket.create_connection(("127.0.0.1", int(port)))
    threading.Thread(target=_back, args=(server,), daemon=True).start()
    left = None if Path(flag).exists() else int(limit)
    while data := os.read(0, 1 << 16):
        if left is not None:
            left -= len(data)
            if left < 0:
                Path(flag).touch()
                if mode == "cut":
                    os._exit(0)
                threading.Event().wait()
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)


def _back(server: socket.socket) -> None:
    try:
        while data := server.recv(1 << 16):
            os.write(1, data)
    finally:  # also where a killed server resets the connection
        os._exit(0)


main(*sys.argv[1:])
