from __future__ import annotations

import socket
import threading

import pytest

from wsgikit.validators.server import cases
from wsgikit.validators.server.case import CASES, Case, NotApplicable
from wsgikit.validators.server.control import Control
from wsgikit.validators.server.trial import Site, Trial

cases.load()


class LastOnly:
    """Answers the last of several requests that arrive together, and keeps the connection."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                while connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def test_a_server_that_loses_requests_is_told_so_once() -> None:
    server, control = LastOnly(), Control()
    case: Case = next(one for one in CASES if one.id == "HTTP-30 get")
    trial = Trial(Site(address=server.listener.getsockname(), control=control, patience=0.3))
    try:
        assert not trial.answers_pipelined()
        with pytest.raises(NotApplicable, match="HTTP-51"):
            case.run(trial)
    finally:
        trial.close()
        server.listener.close()
        control.close()
