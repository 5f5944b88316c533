"""Listening sockets: made, taken over, kept over a reload, closed, and removed from the file system.

It knows addresses and the kernel's rules about them, and nothing of connections. All functions run in the master.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError
from wsgikit.master.address import Address, parse_address
from wsgikit.master.settings import BindSettings

if TYPE_CHECKING:
    import ssl

_ANY_V4 = "0.0.0.0"
_ANY_V6 = "::"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenListener:
    """A socket that listens. Workers inherit it; the master keeps it for the next ones."""

    sock: socket.socket
    bind: BindSettings
    place: Address
    address: str
    """Printable, with the port the system chose: "127.0.0.1:8000", "[::1]:8000", "unix:/run/app.sock"."""
    protocol: str = "http"
    """The wire protocol spoken on it."""
    tls: ssl.SSLContext | None = None
    file: tuple[int, int] | None = None
    """Device and inode of the Unix socket file we made: it is removed only while it is still ours."""

    @property
    def url(self) -> str:
        """For the log: "https://127.0.0.1:8000"."""
        scheme = self.protocol + ("s" if self.tls else "")
        return f"{scheme}+{self.address}" if self.address.startswith("unix:") else f"{scheme}://{self.address}"


def open_listeners(
    binds: Sequence[BindSettings], keep: Iterable[OpenListener] = (), owner: tuple[int, int] | None = None
) -> list[OpenListener]:
    """Listeners for all addresses, those of `keep` reused where the place is the same.

    owner: user and group id for Unix socket files. ConfigError: an address is wrong, taken, forbidden, or there twice;
    nothing stays open then except what was in `keep`. TLS contexts are always made anew, so that a reload reads new
    certificates.
    """
    kept = {listener.place.place: listener for listener in keep}
    opened: list[OpenListener] = []
    try:
        for bind, address in _pairs(binds):
            listener = kept.get(address.place)
            listener = _open(bind, address, binds, owner) if listener is None else _keep(listener, bind, address)
            opened.append(listener)
            opened[-1] = _with_tls(listener)
    except BaseException:
        close_listeners(listener for listener in opened if listener.place.place not in kept)
        raise
    return opened


def close_listeners(listeners: Iterable[OpenListener], remove: bool = True) -> None:
    """Close this process's copies. remove: also take Unix socket files away, if they are still ours."""
    for listener in listeners:
        if remove:
            remove_file(listener)
        listener.sock.close()


def remove_file(listener: OpenListener) -> None:
    """Take the Unix socket file away, unless another process has put its own there since."""
    if listener.file is None:
        return
    try:
        found = os.lstat(listener.place.path)
        if (found.st_dev, found.st_ino) == listener.file:
            os.unlink(listener.place.path)
    except OSError:
        pass  # gone already, or not ours to remove any more


def _pairs(binds: Sequence[BindSettings]) -> Iterator[tuple[BindSettings, Address]]:
    seen: set[tuple[str, str, int, str, int]] = set()
    for bind in binds:
        address = parse_address(bind.address)
        # Port 0 is another port each time, except over a reload, where only one can be told from the other.
        if address.place in seen:
            raise ConfigError(f"bind {bind.address!r} is there twice")
        seen.add(address.place)
        yield bind, address


def _keep(listener: OpenListener, bind: BindSettings, address: Address) -> OpenListener:
    listener.sock.listen(bind.backlog)  # the only property of a live socket that a reload can change
    if bind.mode is not None and listener.file is not None:
        os.chmod(address.path, bind.mode)
    return replace(listener, bind=bind, place=address, protocol=address.scheme.protocol, tls=None)


def _with_tls(listener: OpenListener) -> OpenListener:
    wanted = listener.place.scheme.tls
    settings = listener.bind.tls
    if wanted and settings is None:
        raise ConfigError(f"bind {listener.bind.address!r}: https needs a certificate (--certfile, or tls in the file)")
    if settings is None or wanted is False:
        return listener
    from wsgikit.master.tls import server_context

    return replace(listener, tls=server_context(settings))


def _open(
    bind: BindSettings, address: Address, binds: Sequence[BindSettings], owner: tuple[int, int] | None
) -> OpenListener:
    if address.kind == "fd":
        sock, name, file = _adopt(address.fd, bind), "", None
    elif address.kind == "unix":
        sock, file = _open_unix(address.path, bind, owner)
        name = f"unix:{address.path}"
    else:
        sock, file = _open_tcp(address, bind, binds), None
        name = ""
    sock.setblocking(False)  # of the socket, not the process: workers share it
    protocol = address.scheme.protocol
    return OpenListener(
        sock=sock, bind=bind, place=address, address=name or printable(sock), protocol=protocol, file=file
    )


def printable(sock: socket.socket) -> str:
    """The address a socket is bound to, as a bind text."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        return "unix:" + text.replace("\0", "@", 1)
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def _open_tcp(address: Address, bind: BindSettings, binds: Sequence[BindSettings]) -> socket.socket:
    family, where = _resolve(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bind.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, _only_v6(address, binds))
        sock.bind(where)
        sock.listen(bind.backlog)
    except OSError as error:
        sock.close()
        raise ConfigError(_explain(error, address)) from None  # it says all; a traceback is for what apps raise
    return sock


def _resolve(address: Address) -> tuple[int, tuple[str, int]]:
    """Family and socket address; of a name with several, an IPv4 one."""
    host = address.host
    try:
        # As bytes: for text Python loads its IDNA codec with the whole Unicode database.
        name: str | bytes = host.encode("ascii") if host.isascii() else host
        found = socket.getaddrinfo(name, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"bind {address.text!r}: cannot resolve {host!r}: {error.strerror or error}") from None
    family, _, _, _, where = min(found, key=lambda item: item[0] != socket.AF_INET)
    return family, where  # type: ignore[return-value]  # typeshed: an address may be (int, bytes) without IPv6


def _only_v6(address: Address, binds: Sequence[BindSettings]) -> bool:
    """`[::]` takes IPv4 as well, as on most systems, unless the same port is bound on 0.0.0.0 too."""
    if address.host != _ANY_V6:
        return True
    others = [parse_address(bind.address) for bind in binds]
    return any(other.kind == "tcp" and other.host == _ANY_V4 and other.port == address.port for other in others)


def _explain(error: OSError, address: Address) -> str:
    text = address.text
    if error.errno == errno.EADDRINUSE:
        where = f"`fuser {address.path}`" if address.kind == "unix" else f"`ss -ltnp 'sport = :{address.port}'`"
        return f"address in use: {text}: another process listens there ({where} names it); stop it or bind another"
    if error.errno in (errno.EACCES, errno.EPERM) and address.kind == "tcp":
        return (
            f"permission denied: {text}: a port below 1024 needs root or CAP_NET_BIND_SERVICE; "
            "bind a higher one, or let systemd hand the socket over"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"no such address: {text}: {address.host} belongs to no interface of this machine"
    if error.errno == errno.EAFNOSUPPORT:
        return f"bind {text!r}: this machine has no IPv6"
    if address.kind == "unix":
        return f"bind {text!r}: {error.strerror}: the folder must exist, and this user must be allowed to write to it"
    return f"bind {text!r}: {error.strerror}"


def _open_unix(
    path: str, bind: BindSettings, owner: tuple[int, int] | None
) -> tuple[socket.socket, tuple[int, int] | None]:
    abstract = path.startswith("@")
    address = parse_address(bind.address)
    if not abstract:
        _clear_stale(path, address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _umask_for(bind.mode):
            sock.bind("\0" + path[1:] if abstract else path)
        found = None if abstract else os.lstat(path)
        if owner is not None and not abstract:
            os.chown(path, *owner)
        sock.listen(bind.backlog)
    except OSError as error:
        sock.close()
        raise ConfigError(_explain(error, address)) from None  # it says all; a traceback is for what apps raise
    return sock, None if found is None else (found.st_dev, found.st_ino)


@contextmanager
def _umask_for(mode: int | None) -> Iterator[None]:
    """So that the file never has more permissions than asked for, not even between bind and a chmod."""
    if mode is None:
        yield
        return
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)


def _clear_stale(path: str, address: Address) -> None:
    """Remove a socket file on which nobody listens any more. Anything else at that path stays, and is an error."""
    try:
        found = os.lstat(path)
    except OSError:
        return  # absent; or bind will say what is wrong
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"bind {address.text!r}: there is a file at {path} that is no socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as error:
            # A full backlog (EAGAIN) is somebody listening, as is a socket of another type.
            if error.errno in (errno.EACCES, errno.EPERM):
                raise ConfigError(
                    f"permission denied: {address.text}: the socket there belongs to another user"
                ) from None
    raise ConfigError(_explain(OSError(errno.EADDRINUSE, ""), address))


def _adopt(fd: int, bind: BindSettings) -> socket.socket:
    """The socket behind a file descriptor that somebody opened for us (systemd, a supervisor, a test)."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise ConfigError(f"bind {bind.address!r}: file descriptor {fd} is no socket: {error.strerror}") from None
    accepts = getattr(socket, "SO_ACCEPTCONN", None)
    if sock.type != socket.SOCK_STREAM or (accepts and not sock.getsockopt(socket.SOL_SOCKET, accepts)):
        sock.detach()
        raise ConfigError(f"bind {bind.address!r}: file descriptor {fd} is no listening stream socket")
    os.set_inheritable(fd, False)
    return sock
