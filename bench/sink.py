"""An upstream for uploads: `python bench/sink.py PORT` reads every body to its end, and says hello.

It shares a core with wrk, so that it has to cost little: bodies are never copied out of the kernel (MSG_TRUNC).
One thread a connection; bodies by Content-Length, and by chunks for who sends them so.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wsgikit.wire.http11 import ChunkedDecoder, Limits

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, World!\n"
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
CONTINUE = re.compile(rb"\r\nexpect: *100-continue\r\n", re.IGNORECASE)
NOWHERE = bytearray(1 << 20)


def converse(peer: socket.socket) -> None:
    """Answer one request after the other, until the peer has no more."""
    with peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = peer.recv(65536)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            head += b"\r\n"
            if CONTINUE.search(head):
                peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            length = LENGTH.search(head)
            if length is not None:
                discard(peer, int(length[1]) - len(data))
                data = b""
            elif CHUNKED.search(head):
                data = unchunk(peer, data)
            peer.sendall(ANSWER)


def discard(peer: socket.socket, left: int) -> None:
    """Have so many bytes thrown away."""
    while left > 0:
        count = peer.recv_into(NOWHERE, min(left, len(NOWHERE)), socket.MSG_TRUNC)
        if not count:
            raise ConnectionError("the body ended early")
        left -= count


def unchunk(peer: socket.socket, data: bytes) -> bytes:
    """Read a body in chunks; what came behind it."""
    decoder = ChunkedDecoder(Limits())
    decoder.feed(data)
    while not decoder.done:
        data = peer.recv(1 << 19)
        if not data:
            decoder.eof()
        decoder.feed(data)
    return decoder.rest


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        while True:
            threading.Thread(target=guarded, args=(listener.accept()[0],), daemon=True).start()


def guarded(peer: socket.socket) -> None:
    try:
        converse(peer)
    except OSError:
        pass  # it has left


if __name__ == "__main__":
    main(int(sys.argv[1]))
