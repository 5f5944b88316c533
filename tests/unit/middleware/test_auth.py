"""Basic authentication and address lists."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from werkzeug.security import generate_password_hash
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware import passwords as passwords_module
from wsgikit.middleware.basic_auth import BasicAuth
from wsgikit.middleware.ip_allow import IpAllow
from wsgikit.middleware.passwords import PasswordFile, Remembered
from wsgikit.middleware.stack import Stack, Use

# one round: these tests are not about the strength of the hash
HASH = generate_password_hash("secret", "pbkdf2:sha256:1")


def whoami(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ.get('REMOTE_USER')} {environ.get('AUTH_TYPE')} {'HTTP_AUTHORIZATION' in environ}".encode()]


def credentials(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def ask(layer: Any, authorization: str | None, **extra: Any) -> Any:
    environ = make_environ(**{"wsgikit.log": {}, **extra})
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    return drive(layer, environ)


def test_the_right_name_and_password_get_in() -> None:
    layer = BasicAuth(whoami, users={"ada": HASH, "bob": "plain:pass:word"})
    seen = ask(layer, credentials("ada:secret"))
    assert (seen.code, seen.body, seen.environ["wsgikit.log"]) == (200, b"ada Basic False", {"user": "ada"})
    assert ask(layer, credentials("bob:pass:word")).code == 200
    assert ask(layer, credentials("ada:secret").replace("Basic", "bAsIc")).code == 200
    assert ask(BasicAuth(whoami, users={"ada": HASH}, hide=False), credentials("ada:secret")).body == b"ada Basic True"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YWRhOnNlY3JldA",
        "Bearer YWRhOnNlY3JldA==",
        credentials("ada:wrong"),
        credentials("ada:"),
        credentials("ada"),
        credentials(":secret"),
        credentials("eve:secret"),
        credentials("ada:secret\n"),
        credentials(b"ada:\xff"),
        "Basic " + "A" * 10_000,
        "Basic \xff\xfe",
    ],
)
def test_nothing_else_does(authorization: str | None) -> None:
    seen = ask(BasicAuth(whoami, users={"ada": HASH}, realm="Staff"), authorization)
    assert seen.code == 401
    assert seen.get("WWW-Authenticate") == 'Basic realm="Staff", charset="UTF-8"'


def test_a_name_beyond_ascii_travels_as_pep_3333_says() -> None:
    seen = ask(BasicAuth(whoami, users={"zoë": "plain:x"}), credentials("zoë:x"))
    assert seen.body.startswith("zoë".encode().decode("latin-1").encode())


def test_raw_headers_lose_the_password_too() -> None:
    got: dict[str, Any] = {}
    layer = BasicAuth(lambda environ, start: got.update(environ) or whoami(environ, start), users={"a": "plain:b"})
    raw = [(b"Authorization", b"Basic YTpi"), (b"Accept", b"*/*")]
    ask(layer, credentials("a:b"), **{"wsgikit.raw_headers": raw})
    assert got["wsgikit.raw_headers"] == [(b"Accept", b"*/*")]


def test_over_plain_http_a_password_may_be_refused() -> None:
    layer = BasicAuth(whoami, users={"a": "plain:b"}, https=True)
    assert ask(layer, credentials("a:b")).code == 403
    assert ask(layer, credentials("a:b"), **{"wsgi.url_scheme": "https"}).code == 200


def test_a_stranger_costs_as_many_hashes_as_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    monkeypatch.setattr(passwords_module, "_matches", lambda hashed, password: checked.append(hashed) or False)
    layer = BasicAuth(whoami, users={"ada": HASH})
    ask(layer, credentials("ada:x"))
    ask(layer, credentials("eve:x"))
    assert checked == [HASH, HASH]


def test_a_right_password_is_remembered_for_a_while_a_wrong_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [100.0], []
    monkeypatch.setattr(passwords_module, "monotonic", lambda: now[0])
    checker = Remembered(lambda name, password: asked.append(name) or password == "right", 2, 10)
    assert [checker("a", "right"), checker("a", "right"), checker("a", "wrong"), checker("a", "wrong")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert len(asked) == 3
    now[0] += 11
    assert checker("a", "right")
    assert len(asked) == 4
    for name in ("b", "c", "d"):
        checker(name, "right")
    checker("a", "right")
    assert asked[-1] == "a"


def test_a_password_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(passwords_module, "monotonic", lambda: now[0])
    path = tmp_path / "passwords"
    path.write_text(f"# staff\n\nada:{HASH}\n")
    checker = PasswordFile(str(path))
    assert checker("ada", "secret")
    path.write_text("bob:plain:x\n")
    assert checker("ada", "secret")
    now[0] += 2
    assert (checker("ada", "secret"), checker("bob", "x")) == (False, True)
    path.write_text("half a line")
    now[0] += 2
    assert checker("bob", "x")
    os.unlink(path)
    now[0] += 2
    assert checker("bob", "x")


def test_who_is_taken_from_the_file_does_not_come_in_by_what_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(passwords_module, "monotonic", lambda: now[0])
    path = tmp_path / "passwords"
    path.write_text(f"ada:{HASH}\nbob:plain:x\n")
    layer = BasicAuth(whoami, file=str(path))
    assert [ask(layer, credentials(text)).code for text in ("ada:secret", "bob:x")] == [200, 200]
    path.write_text("bob:plain:x\n")
    now[0] += 2
    assert [ask(layer, credentials(text)).code for text in ("ada:secret", "bob:x")] == [401, 200]


@pytest.mark.parametrize("hashed", ["scrypt:1:2:3$a$b0", "pbkdf2:nohash:1$a$b0", "scrypt:1048576:64:64$a$b0"])
def test_a_hash_that_cannot_be_checked_lets_nobody_in(hashed: str, caplog: pytest.LogCaptureFixture) -> None:
    layer = BasicAuth(whoami, users={"ada": hashed})
    assert [ask(layer, credentials(text)).code for text in ("ada:x", "eve:x")] == [401, 401]
    assert "cannot be checked" in caplog.text


def test_a_checker_of_ones_own() -> None:
    layer = BasicAuth(whoami, check=lambda name, password: name == password)
    assert [ask(layer, credentials(text)).code for text in ("a:a", "a:b")] == [200, 401]
    assert BasicAuth(whoami, check="hmac:compare_digest", cache_time=0).check("a", "a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of users, file and check"),
        ({"users": {}, "check": len}, "exactly one of"),
        ({"users": {"ada": "secret"}}, "the password of 'ada' is no hash"),
        ({"users": {"ada": "scrypt:"}}, "the password of 'ada' is no hash"),
        ({"users": {"ada": "pbkdf2:sha256:x$a$b0"}}, "the password of 'ada' is no hash"),
        ({"users": {"ada": "scrypt:32768:8:1$salt"}}, "the password of 'ada' is no hash"),
        ({"users": {"ada": "scrypt:32768:8:1$salt$no-hex"}}, "the password of 'ada' is no hash"),
        ({"users": {"a:b": "plain:x"}}, "'a:b' is no user name"),
        ({"file": "/no/such/file"}, "password file /no/such/file: No such file"),
        ({"users": {}, "realm": 'a"b'}, "realm = 'a\"b'"),
        ({"check": 5}, "check = 5"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        BasicAuth(whoami, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "address", "code"),
    [
        ({"allow": ["10.0.0.0/8"]}, "10.1.2.3", 200),
        ({"allow": ["10.0.0.0/8"]}, "::ffff:10.1.2.3", 200),
        ({"allow": ["10.0.0.0/8"]}, "11.1.2.3", 403),
        ({"allow": ["10.0.0.0/8"], "deny": ["10.0.0.5"]}, "10.0.0.5", 403),
        ({"deny": ["10.0.0.5"]}, "10.0.0.6", 200),
        ({"allow": ["2001:db8::/32"]}, "2001:db8::1", 200),
        ({"allow": ["fe80::/10"]}, "fe80::1%eth0", 200),
        ({"allow": ["0.0.0.0/0"]}, "::1", 403),
        ({"allow": ["0.0.0.0/0"]}, "nonsense", 403),
        ({"deny": ["10.0.0.5"]}, "nonsense", 403),
        ({"allow": ["10.0.0.0/8"]}, "", 200),
        ({"allow": ["10.0.0.0/8"], "sockets": False}, "", 403),
        ({"allow": ["10.0.0.0/8"], "status": 404}, "1.1.1.1", 404),
    ],
)
def test_addresses(options: Any, address: str, code: int) -> None:
    assert drive(IpAllow(whoami, **options), make_environ(REMOTE_ADDR=address)).code == code


def test_a_description_does_not_tell_passwords() -> None:
    described = Stack(whoami, [Use(BasicAuth, users={"ada": "plain:secret"}, realm="Staff")]).describe()
    assert described.splitlines()[0] == "BasicAuth(users=..., realm='Staff')"


def test_an_address_list_needs_one() -> None:
    with pytest.raises(ConfigError, match="neither allow nor deny"):
        IpAllow(whoami)
    with pytest.raises(ConfigError, match="status = 200"):
        IpAllow(whoami, allow=["::1"], status=200)
