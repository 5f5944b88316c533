"""What middleware tests share: a scoreboard of their own each, so that counts of one do not limit another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wsgikit import scoreboard


@pytest.fixture(autouse=True)
def _own_board() -> Iterator[None]:
    board = scoreboard.Scoreboard(slots=2)
    before = scoreboard.install(board)
    yield
    scoreboard.install(before)
    board.close()
