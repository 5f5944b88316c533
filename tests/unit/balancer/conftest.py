"""Every test of the balancer has a scoreboard of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wsgikit import scoreboard
from wsgikit.scoreboard import Scoreboard


@pytest.fixture(autouse=True)
def fresh_scoreboard() -> Iterator[Scoreboard]:
    board = Scoreboard(slots=4)
    before = scoreboard.install(board)
    yield board
    scoreboard.install(before)
