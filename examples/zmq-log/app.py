"""A Flask app whose answers go out over ZeroMQ as well.

    python examples/zmq-log/subscriber.py &
    wsgikit serve app:app --pythonpath examples/zmq-log
    curl 'http://127.0.0.1:8000/downcase/?text=HELLO'

Needs `pip install flask pyzmq`. The subscriber binds and every worker connects, so that there may be many workers.
"""

from __future__ import annotations

import os
import threading

import zmq
from flask import Flask, request

ADDRESS = os.environ.get("ZMQ_LOG", "tcp://127.0.0.1:5557")
PATIENCE = 1000  # milliseconds that the first answer of a worker waits for the subscriber

app = Flask(__name__)


class Publisher:
    """One PUB socket a process, made after the fork; sockets of ZeroMQ are for one thread at a time, hence the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: zmq.Socket[bytes] | None = None

    def send(self, data: bytes) -> None:
        with self._lock:
            if self._socket is None:
                # XPUB is PUB that hears of subscriptions: a message sent before the first one would be lost
                self._socket = zmq.Context.instance().socket(zmq.XPUB)
                self._socket.setsockopt(zmq.LINGER, 0)
                self._socket.connect(ADDRESS)
                if self._socket.poll(PATIENCE):
                    self._socket.recv()
            self._socket.send(data)


publisher = Publisher()


@app.get("/downcase/")
def downcase():
    return request.args.get("text", "").lower(), {"Content-Type": "text/plain; charset=utf-8"}


@app.after_request
def publish(response):
    if request.path == "/downcase/" and response.status_code == 200:
        publisher.send(response.get_data())
    return response
