"""A profile of one request, in the log, for whoever asks from this machine.

wsgikit serve examples.stacks.profiler:app
curl -s -H 'X-Profile: 1' http://127.0.0.1:8000/
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Profiler, Stack, Use

app = Stack(
    shop,
    [Use(Profiler, lines=10)],
)
