"""The Date line, whatever the locale."""

from __future__ import annotations

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from wsgikit.workers.housekeeping import imf_fixdate


@given(st.integers(0, 4_102_444_800))
def test_dates_are_written_as_the_standard_library_does(seconds: int) -> None:
    assert imf_fixdate(seconds) == formatdate(seconds, usegmt=True)
