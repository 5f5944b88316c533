"""Append every answer that is published, with the time, to subscriber.log: `python subscriber.py [FILE]`."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime

import zmq

ADDRESS = os.environ.get("ZMQ_LOG", "tcp://127.0.0.1:5557")


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else "subscriber.log"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with zmq.Context() as context, context.socket(zmq.SUB) as socket, open(path, "a", encoding="utf-8") as log:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.bind(ADDRESS)
        while True:
            text = socket.recv().decode("utf-8", "replace")
            # one line an answer, whatever is in it
            log.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {ascii(text)[1:-1]}\n")
            log.flush()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
