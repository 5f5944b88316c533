"""Checking names and passwords: hashes from a mapping or a file, and a bounded memory of those that were right.

Owns that a wrong name costs the same time as a wrong password and that no password is kept in clear. Must not know
HTTP.
"""

from __future__ import annotations

import hmac
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from time import monotonic

from wsgikit.errors import ConfigError
from wsgikit.loader import require

__all__ = ["PasswordFile", "Passwords", "Remembered"]

# as werkzeug.security writes them: method with its numbers, salt, hexadecimal hash
_HASH = re.compile(
    r"(?:scrypt(?::[0-9]{1,9}){3}|pbkdf2:[a-z0-9_-]+(?::[0-9]{1,9})?)\$[^$]+\$[0-9a-f]+|plain:.*", re.DOTALL
)
_FILE_LIMIT = 1 << 20


class Passwords:
    """name -> hash."""

    def __init__(self, users: Mapping[str, str]) -> None:
        for name, hashed in users.items():
            if not isinstance(hashed, str) or not _HASH.fullmatch(hashed):
                raise ConfigError(
                    f"the password of {name!r} is no hash (scrypt:..., pbkdf2:...) nor 'plain:...'; make one with "
                    "werkzeug.security.generate_password_hash"
                )
            if ":" in name or not name:
                raise ConfigError(f"{name!r} is no user name: it is empty or has a colon in it (RFC 7617 2)")
        self._users = dict(users)
        # what a name that is not there is compared with, so that its answer takes as long
        self._stranger = next((hashed for hashed in users.values() if not hashed.startswith("plain:")), "plain:\0")
        if not self._stranger.startswith("plain:"):
            require("werkzeug")

    def __call__(self, name: str, password: str) -> bool:
        hashed = self._users.get(name)
        right = _matches(self._stranger if hashed is None else hashed, password)
        return right and hashed is not None


class PasswordFile:
    """Lines `name:hash`; `#` begins a comment. Read again when its time, size or inode changes.

    `version()` is another number after each time it was read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._passwords = _read(path)
        self._looked = monotonic()
        self._version = 0

    def __call__(self, name: str, password: str) -> bool:
        self.version()
        return self._passwords(name, password)

    def version(self) -> int:
        if monotonic() - self._looked > 1:
            with self._lock:
                self._look()
        return self._version

    def _look(self) -> None:
        self._looked = monotonic()
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._passwords, self._stamp = _read(self._path), stamp
                self._version += 1
        except ConfigError:
            # half-written or gone: nobody new until it is whole again, but nobody is locked out by an editor
            import logging

            logging.getLogger("wsgikit.auth").exception("password file stays as it was read last")


class Remembered:
    """A checker that does not ask again for a while after a yes. Never remembers a no, nor a password.

    What it remembers is forgotten when the checker's `version()`, if it has one, is another.
    """

    def __init__(self, check: Callable[[str, str], bool], most: int, keep: float) -> None:
        self._check = check
        self._version: Callable[[], int] = getattr(check, "version", lambda: 0)
        self._most = most
        self._keep = keep
        self._key = os.urandom(32)
        self._lock = threading.Lock()
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def __call__(self, name: str, password: str) -> bool:
        digest = hmac.digest(self._key, f"{self._version()}\0{name}\0{password}".encode(), "sha256")
        with self._lock:
            if self._until.get(digest, 0.0) > monotonic():
                return True
        if not self._check(name, password):
            return False
        with self._lock:
            self._until[digest] = monotonic() + self._keep
            self._until.move_to_end(digest)
            while len(self._until) > self._most:
                self._until.popitem(last=False)
        return True


def _matches(hashed: str, password: str) -> bool:
    if hashed.startswith("plain:"):
        return hmac.compare_digest(hashed.removeprefix("plain:").encode(), password.encode())
    from werkzeug.security import check_password_hash

    try:
        return check_password_hash(hashed, password)
    except (ValueError, OverflowError) as error:  # numbers or a hash function that Python's hashlib refuses
        import logging

        logging.getLogger("wsgikit.auth").error("a password's hash cannot be checked: %s", error)
        return False


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise ConfigError(f"password file {path}: {error.strerror}") from error
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: str) -> Passwords:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_FILE_LIMIT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"password file {path}: {error}") from error
    if len(text) > _FILE_LIMIT:
        raise ConfigError(f"password file {path} is larger than {_FILE_LIMIT} bytes")
    users = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            name, colon, hashed = line.partition(":")
            if not colon:
                raise ConfigError(f"password file {path}:{number}: has to be name:hash")
            users[name] = hashed
    return Passwords(users)
