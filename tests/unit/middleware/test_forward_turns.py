"""A body that never makes us wait lets others go first, again and again."""

from __future__ import annotations

from typing import Any

import pytest

from wsgikit.errors import Disconnected, UpstreamError
from wsgikit.middleware.forward_body import TURN, RelayBody
from wsgikit.wsgi.waiter import Waiter

BLOCK = bytes(64 * 1024)


class Fast:
    """A response that always has more."""

    arrived = done = False

    def read_now(self) -> bytes:
        return BLOCK

    def read(self, patience: float) -> bytes:
        return BLOCK

    def patience(self) -> float:
        return 1e9

    def fileno(self) -> int:
        return 7

    def close(self) -> None:
        pass


class Wishes:
    """`wsgikit.pause` of a server that waits, or (`heard` false) of one whose layers take empty blocks away."""

    def __init__(self, *, heard: bool) -> None:
        self.heard = heard
        self.fd = -1
        self.made: list[tuple[int, float]] = []
        self.left = False

    @property
    def open(self) -> bool:
        return self.fd >= 0 and not self.heard

    def __call__(self, fd: int, seconds: float, *, client: bool = True) -> None:
        self.fd = fd
        self.made.append((fd, seconds))


def relay(pause: Wishes) -> RelayBody:
    def failed(error: UpstreamError, exc_info: Any) -> bytes:
        raise AssertionError(error)

    return RelayBody(Fast(), failed, lambda error: None, Waiter(pause, gone=()))  # type: ignore[arg-type]


@pytest.mark.parametrize("heard", [True, False])
def test_others_have_their_turn(heard: bool) -> None:
    pause = Wishes(heard=heard)
    body = relay(pause)
    for _ in range(5):
        burst = [next(body) for _ in range(TURN // len(BLOCK) + 1)]
        assert burst[-1] == b""
        assert all(burst[:-1])
        assert pause.made.pop() == (7, 0.0)
        pause.made.clear()


def test_a_client_that_has_left_gets_no_further_turn() -> None:
    pause = Wishes(heard=True)
    body = relay(pause)
    for _ in range(TURN // len(BLOCK) + 1):
        last = next(body)
    assert last == b""
    pause.left = True
    for _ in range(TURN // len(BLOCK)):
        assert next(body)
    with pytest.raises(Disconnected):
        next(body)
