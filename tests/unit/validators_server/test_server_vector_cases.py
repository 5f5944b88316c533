from __future__ import annotations

import socket
import threading

import pytest

from wsgikit.testing import ResponseReader
from wsgikit.testing.vectors import by_id
from wsgikit.validators.server import cases
from wsgikit.validators.server.case import CASES, Broken, Case, NotApplicable
from wsgikit.validators.server.cases import vectors
from wsgikit.validators.server.control import Control, SeenCall
from wsgikit.validators.server.observing import Observed
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


@pytest.mark.parametrize("identifier", ["HTTP-30 get", "HTTP-48 two", "HTTP-59 two"])
def test_a_server_that_loses_requests_is_told_so_once(identifier: str) -> None:
    server, control = LastOnly(), Control()
    case: Case = next(one for one in CASES if one.id == identifier)
    trial = Trial(Site(address=server.listener.getsockname(), control=control, patience=0.3))
    try:
        assert not trial.answers_pipelined()
        with pytest.raises(NotApplicable, match="HTTP-51"):
            case.run(trial)
    finally:
        trial.close()
        server.listener.close()
        control.close()


def test_a_server_that_never_sent_100_did_not_refuse_while_reading() -> None:
    reader = ResponseReader(strict=False)
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert reader.response is not None
    facts = {"environ": {"REQUEST_METHOD": ["builtins.str", "POST"], "PATH_INFO": ["builtins.str", "/"]}}
    report = {"size": 0, "sha256": "", "start": "", "trouble": "OSError: timeout"}
    seen = Observed(replies=[reader.response], calls=[SeenCall("1", facts, [("body", report)])], persists=False)
    control = Control()
    trial = Trial(Site(address=("127.0.0.1", 0), control=control))
    try:
        assert "refused while" in vectors._judge(trial, by_id("H29-short"), seen, True)
        with pytest.raises(Broken):
            vectors._judge(trial, by_id("H54-length"), seen, True)
    finally:
        trial.close()
        control.close()


def test_a_trailer_section_that_is_run_as_a_request_is_smuggling() -> None:
    reader = ResponseReader(strict=False)
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert reader.response is not None
    environs = [{"PATH_INFO": ["builtins.str", path]} for path in ("/", "/smuggled")]
    calls = [SeenCall("1", {"environ": environ}, []) for environ in environs]
    control = Control()
    trial = Trial(Site(address=("127.0.0.1", 0), control=control))
    try:
        seen = Observed(replies=[reader.response], calls=calls, persists=True)
        with pytest.raises(Broken, match="run as a request") as caught:
            vectors._judge(trial, by_id("H46-request"), seen, True)
        assert caught.value.level == "must"
    finally:
        trial.close()
        control.close()
