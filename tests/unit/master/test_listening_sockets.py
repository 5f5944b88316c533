"""Listeners on real sockets: opened, kept over a reload, refused with a remedy, cleaned up."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inet6 import needs_ipv6

from wsgikit.errors import ConfigError
from wsgikit.master.activation import activated_binds, take_activated
from wsgikit.master.settings import BindSettings, TlsSettings
from wsgikit.master.sockets import OpenListener, close_listeners, open_listeners, remove_file

Open = Callable[..., list[OpenListener]]


@pytest.fixture
def opened() -> Iterator[Open]:
    made: list[OpenListener] = []

    def open_them(*binds: str | BindSettings, **options: object) -> list[OpenListener]:
        settings = [bind if isinstance(bind, BindSettings) else BindSettings(address=bind) for bind in binds]
        listeners = open_listeners(settings, **options)  # type: ignore[arg-type]
        made.extend(listeners)
        return listeners

    yield open_them
    close_listeners(made)


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose socket paths fit; relative ones, as tmp_path may be long."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def connects(listener: OpenListener) -> bool:
    name = listener.sock.getsockname()
    with socket.socket(listener.sock.family, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(name)
        accepted, _ = listener.sock.accept()
        accepted.close()
    return True


def test_port_0_names_the_port_the_system_chose(opened: Open) -> None:
    [listener] = opened("127.0.0.1:0")
    port = listener.sock.getsockname()[1]
    assert port > 0
    assert listener.address == f"127.0.0.1:{port}"
    assert listener.url == f"http://127.0.0.1:{port}"
    assert listener.protocol == "http"
    assert listener.sock.getblocking() is False
    assert connects(listener)


@needs_ipv6
def test_ipv6(opened: Open) -> None:
    [listener] = opened("[::1]:0")
    assert listener.address == f"[::1]:{listener.sock.getsockname()[1]}"
    assert connects(listener)


@needs_ipv6
def test_any_ipv6_takes_ipv4_too_unless_the_same_port_is_bound_on_ipv4(opened: Open) -> None:
    [both] = opened("[::]:0")
    port = both.sock.getsockname()[1]
    socket.create_connection(("127.0.0.1", port), 5).close()
    close_listeners([both])
    six, four = opened(f"[::]:{port}", f"0.0.0.0:{port}")
    assert connects(six)
    assert connects(four)


def test_a_name_is_bound_on_ipv4_when_it_has_both(opened: Open) -> None:
    [listener] = opened("localhost:0")
    assert listener.address.startswith("127.0.0.1:")


@needs_ipv6
def test_socket_options(opened: Open) -> None:
    plain, shared = opened("127.0.0.1:0", BindSettings(address="[::1]:0", reuse_port=True))
    assert plain.sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert not plain.sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    assert shared.sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


def test_an_address_in_use_is_named_with_a_remedy(opened: Open) -> None:
    [listener] = opened("127.0.0.1:0")
    with pytest.raises(
        ConfigError, match=rf"address in use: {listener.address}: .*ss -ltnp .*stop it or bind another"
    ) as e:
        opened(listener.address)
    assert e.value.__cause__ is None  # else the command prints a traceback, which is for what apps raise


def test_an_address_of_another_machine(opened: Open) -> None:
    with pytest.raises(ConfigError, match=r"no such address: 192.0.2.1:0: 192.0.2.1 belongs to no interface"):
        opened("192.0.2.1:0")


def test_a_name_that_does_not_resolve(opened: Open) -> None:
    with pytest.raises(ConfigError, match=r"cannot resolve 'no-such-host.invalid'"):
        opened("no-such-host.invalid:0")


def test_the_message_for_a_low_port_names_the_remedy() -> None:
    from wsgikit.master.address import parse_address
    from wsgikit.master.sockets import _explain

    text = _explain(PermissionError(13, "Permission denied"), parse_address("127.0.0.1:80"))
    assert text.startswith("permission denied: 127.0.0.1:80: a port below 1024 needs root")


def test_the_same_place_twice_is_an_error_and_leaves_nothing_open(opened: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(ConfigError, match="is there twice"):
        opened(f"127.0.0.1:{port}", f"http://127.0.0.1:{port}")
    assert opened(f"127.0.0.1:{port}")


def test_unix_socket_is_made_with_its_mode_and_removed(opened: Open, short: Path) -> None:
    [listener] = opened(BindSettings(address="unix:app.sock", mode=0o660))
    assert listener.address == "unix:app.sock"
    assert listener.url == "http+unix:app.sock"
    assert stat.S_IMODE(os.stat("app.sock").st_mode) == 0o660
    assert connects(listener)
    close_listeners([listener])
    assert not os.path.lexists("app.sock")


def test_the_umask_decides_without_a_mode(opened: Open, short: Path) -> None:
    before = os.umask(0o027)
    try:
        opened("unix:app.sock")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat("app.sock").st_mode) == 0o750


def test_a_stale_socket_is_replaced(opened: Open, short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("app.sock")
    [listener] = opened("unix:app.sock")
    assert connects(listener)


def test_a_live_socket_is_not_taken_away_from_its_owner(opened: Open, short: Path) -> None:
    [listener] = opened("unix:app.sock")
    with pytest.raises(ConfigError, match=r"address in use: unix:app.sock: .*fuser"):
        opened("unix:app.sock")
    assert connects(listener)


def test_a_file_that_is_no_socket_is_never_removed(opened: Open, short: Path) -> None:
    Path("app.sock").write_text("precious")
    with pytest.raises(ConfigError, match=r"there is a file at app.sock that is no socket"):
        opened("unix:app.sock")
    assert Path("app.sock").read_text() == "precious"


def test_a_missing_folder_says_so(opened: Open, short: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory: the folder must exist"):
        opened("unix:nowhere/app.sock")


def test_the_file_of_a_successor_stays(opened: Open, short: Path) -> None:
    [old] = opened("unix:app.sock")
    os.unlink("app.sock")
    opened("unix:app.sock")
    remove_file(old)
    assert os.path.lexists("app.sock")


def test_an_abstract_name_has_no_file(opened: Open) -> None:
    name = f"wsgikit-test-{os.getpid()}"
    [listener] = opened(f"unix:@{name}")
    assert listener.address == f"unix:@{name}"
    assert listener.file is None
    assert connects(listener)


def test_a_descriptor_is_adopted(opened: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        fd = os.dup(given.fileno())
        os.set_inheritable(fd, True)
        [listener] = opened(f"fd://{fd}")
        assert listener.sock.fileno() == fd
        assert listener.address == f"127.0.0.1:{given.getsockname()[1]}"
        assert not os.get_inheritable(fd)
        assert connects(listener)


def test_descriptors_that_cannot_accept_are_refused_and_left_open(opened: Open) -> None:
    with open(os.devnull) as file, socket.socket() as idle, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        with pytest.raises(ConfigError, match=rf"file descriptor {file.fileno()} is no socket"):
            opened(f"fd://{file.fileno()}")
        for wrong in (idle, datagram):
            with pytest.raises(ConfigError, match="is no listening stream socket"):
                opened(f"fd://{wrong.fileno()}")
            os.fstat(wrong.fileno())


@needs_ipv6
def test_a_reload_keeps_sockets_and_closes_only_what_is_new_when_it_fails(opened: Open, short: Path) -> None:
    old = opened("127.0.0.1:0", "unix:a.sock")
    new = open_listeners(
        [BindSettings(address="http://127.0.0.1:0", backlog=5), BindSettings(address="unix:b.sock")], keep=old
    )
    assert new[0].sock is old[0].sock
    assert new[0].address == old[0].address
    close_listeners([new[1]])
    wrong = BindSettings(address="https://[::1]:0")
    with pytest.raises(ConfigError, match="https needs a certificate"):
        open_listeners([BindSettings(address="unix:a.sock"), BindSettings(address="unix:c.sock"), wrong], keep=old)
    assert connects(old[1])
    assert not os.path.lexists("c.sock")


@needs_ipv6
def test_plain_scheme_stays_plain_beside_tls(opened: Open) -> None:
    here = Path(__file__).parent / "certificates"
    from wsgikit.master.settings import CertificateSettings

    tls = TlsSettings(certificates=(CertificateSettings(cert=str(here / "shop-both.pem")),))
    plain, secure, chosen = opened(
        *(BindSettings(address=text, tls=tls) for text in ("http://127.0.0.1:0", "https://[::1]:0", "localhost:0"))
    )
    assert plain.tls is None
    assert secure.tls is not None
    assert secure.url.startswith("https://[::1]:")
    assert chosen.tls is not None


def test_systemd_hands_sockets_over_by_number_and_name() -> None:
    environ = {"LISTEN_FDS": "3", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "web:https", "HOME": "/"}
    assert take_activated(environ) == ["fd://3", "https+fd://4", "fd://5"]
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "-1", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_sockets_of_somebody_else_are_left_alone(environ: dict[str, str]) -> None:
    assert take_activated(environ) == []
    assert environ == {}


def test_activated_sockets_replace_the_configured_addresses_and_keep_their_settings() -> None:
    binds = (BindSettings(address=":80", backlog=7), BindSettings(address=":81", backlog=9))
    assert activated_binds([], binds) == binds
    assert activated_binds(["fd://3", "fd://4", "fd://5"], binds) == (
        BindSettings(address="fd://3", backlog=7),
        BindSettings(address="fd://4", backlog=9),
        BindSettings(address="fd://5", backlog=9),
    )
    assert activated_binds(["fd://3"], ()) == (BindSettings(address="fd://3"),)
