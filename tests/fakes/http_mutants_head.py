"""HTTP mutants of the head of a request (H01-H28)."""

from __future__ import annotations

from http_mutants import http_mutant, refuses, stalls, takes
from tiny_server import Connection, Request

from wsgikit.validators.report import Verdict

INFO, WARN = Verdict.INFO, Verdict.WARN

stalls("H01", "field", "a bare line feed is waited past", rb"(?<!\r)\n", INFO)
takes("H02", "field-name", "a bare carriage return is dropped", rb"\r(?!\n)", b"")
refuses("H03", "one", "an empty line before the request is an error", rb"\A\r\n", verdict=WARN)
takes("H04", "space", "white space before the first field is skipped", rb"\r\n[ \t]+(?=X-A)", b"\r\n")
stalls("H05", "two-spaces", "after a second space in the request line nothing is answered", rb"\AGET  /", INFO)
takes("H06", "fragment", "a fragment is cut off", rb"(?<=\AGET /a)#frag", b"", WARN)
takes("H07", "no-minor", "HTTP/1 is taken for HTTP/1.1", rb"HTTP/1(?=\r\n)", b"HTTP/1.1", WARN)
takes("H09", "lower-case", "methods are made capitals", rb"\Aget ", b"GET ", WARN)
takes("H10", "at", "an @ in a method is passed over", rb"\AG@T", b"GT", WARN)
stalls("H11", "target-too-long", "a long target is never answered", rb"\AGET /a{9000}")
stalls("H13", "options", "OPTIONS * is never answered", rb"\AOPTIONS \*")
takes("H14", "port-empty", "CONNECT is a GET", rb"\ACONNECT \S+", b"GET /", WARN)
takes("H15", "missing", "Host is made up", rb"\AGET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
takes("H17", "space", "white space before the colon is skipped", rb"([A-Za-z-]+)[ \t]+:", rb"\1:")
takes("H18", "space", "a fold is taken out with its space", rb"\r\n[ \t]+", b"")
takes("H19", "bracket", "a field with a wrong name is left out", rb"\r\nBad\[: b", b"", WARN)
takes("H20", "nul", "NUL is dropped from values", rb"\x00", b"")
takes("H22", "length-latin-space", "a space of Latin-1 is dropped from a length", rb"(?<=Length: )\xa0", b"")
takes("H23", "too-many-fields", "fields after the tenth are left out", rb"\r\nX-\d{2,}: a(?=\r\n)", b"")
takes("H25", "plus", "a plus sign is part of a number", rb"(?<=Length: )\+", b"")
takes("H26", "list-differs", "the first of two lengths counts", rb"(?<=Length: 5), 6", b"")
takes("H27", "0200", "a leading zero means octal", rb"(?<=Length: )0200", b"128", WARN)
takes("H28", "past-64-bits", "lengths are taken modulo 2**64", rb"18446744073709551621", b"5")


class NotesVersion(Connection):
    """Knows afterwards that HTTP/1.2 was sent."""

    sent_1_2 = False

    def receive(self) -> bool:
        more = super().receive()
        self.sent_1_2 = b" HTTP/1.2\r\n" in self.buffer
        return more


@http_mutant("H08", "http-1.2", "the response is in HTTP/1.2, which nobody speaks", WARN)
class EchoesVersion(Request):
    connection_type = NotesVersion

    def send(self, data: bytes) -> None:
        if isinstance(self.connection, NotesVersion) and self.connection.sent_1_2:
            data = data.replace(b"HTTP/1.1 ", b"HTTP/1.2 ", 1)
        super().send(data)


@http_mutant("H12", "host-differs", "Host wins over the target")
class HostWins(Request):
    def header_variables(self) -> dict[str, str]:
        found = super().header_variables()
        sent = [value.decode("latin-1") for name, value in self.head.fields if name.lower() == b"host"]
        return found | {"HTTP_HOST": sent[0]} if sent else found


@http_mutant("H16", "http-1.0", "a request without Host gets an HTTP_HOST")
class InventsHost(Request):
    def header_variables(self) -> dict[str, str]:
        return {"HTTP_HOST": "localhost", **super().header_variables()}


@http_mutant("H21", "latin", "values are read as UTF-8", WARN)
class Utf8Values(Request):
    def text(self, value: bytes) -> str:
        return value.decode("utf-8", "replace")


@http_mutant("H24", "alias-alone", "X_User is X-User", INFO)
class Aliases(Request):
    def wanted(self, name: str) -> bool:
        return True
