"""A DNS server on loopback that answers from a table, over UDP and TCP, and fails as it is told. Needs dnspython."""

from __future__ import annotations

import socket
import struct
import threading


class NameServer:
    """`table`: (name, kind) to (ttl, [text, ...]); a name that is nowhere in it is NXDOMAIN, a kind of one NODATA.

    `failing`: kinds (or "*") that get SERVFAIL; `silent`: kinds (or "*") that get no answer; `truncating`: UDP answers
    are cut, so that the question comes again over TCP. `asked`: all questions so far.
    """

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.truncating = False
        self.asked: list[tuple[str, str]] = []
        self.over_tcp = 0
        self._datagrams, self._listener = _one_port_for_both()
        self._closing = False
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._serve, self._accept)]
        for thread in self._threads:
            thread.start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._datagrams.getsockname()[1]}"

    def _serve(self) -> None:
        while not self._closing:
            data, peer = self._datagrams.recvfrom(4096)
            answer = self._answer(data, datagram=True) if data else None
            if answer is not None:
                self._datagrams.sendto(answer, peer)

    def _accept(self) -> None:
        while not self._closing:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(2)
                start = connection.recv(4096)
                if len(start) > 2:
                    self.over_tcp += 1
                    answer = self._answer(start[2:], datagram=False)
                    if answer is not None:
                        connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, data: bytes, *, datagram: bool) -> bytes | None:
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rdatatype
        import dns.rrset

        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = str(question.name), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if {kind, "*"} & self.silent:
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if {kind, "*"} & self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif datagram and self.truncating:
            answer.flags |= dns.flags.TC
        elif not any(known == name for known, _ in self.table):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            self._fill(answer, name, kind)
        return bytes(answer.to_wire())

    def _fill(self, answer, name: str, kind: str) -> None:
        import dns.rrset

        alias = self.table.get((name, "CNAME"))
        if alias is not None:
            answer.answer.append(dns.rrset.from_text(name, alias[0], "IN", "CNAME", alias[1][0]))
            name = alias[1][0]
        ttl, texts = self.table.get((name, kind), (0, []))
        if texts:
            answer.answer.append(dns.rrset.from_text(name, ttl, "IN", kind, *texts))

    def close(self) -> None:
        self._closing = True
        self._datagrams.sendto(b"", self._datagrams.getsockname())
        socket.create_connection(self._listener.getsockname()).close()
        for thread in self._threads:
            thread.join(5)
        self._datagrams.close()
        self._listener.close()


def _one_port_for_both() -> tuple[socket.socket, socket.socket]:
    while True:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            datagrams.bind(("127.0.0.1", 0))
            listener.bind(datagrams.getsockname())
            listener.listen()
            return datagrams, listener
        except OSError:  # somebody has the other one
            datagrams.close()
            listener.close()
