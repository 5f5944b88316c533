"""The workloads as data: which app, how many threads, what is asked, what must come back.

Knows nothing about servers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HELLO = b"Hello, World!\n"
SIXTEEN = b"0123456789abcdef"

BROWSER = (  # with Host, which the client adds, the twelve fields of a browser's navigation
    ("Connection", "keep-alive"),
    ("sec-ch-ua", '"Chromium";v="139", "Not;A=Brand";v="24"'),
    ("sec-ch-ua-platform", '"Linux"'),
    ("Upgrade-Insecure-Requests", "1"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
    ),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Referer", "https://shop.example/catalogue/shoes?page=2"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
    ("Cookie", "session=eyJ1c2VyIjo0Mn0.aGVsbG8.d29ybGQ; theme=dark; consent=all; _ga=GA1.2.1.2"),
)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One thing to measure. `threads` are the server's, `connections` the client's; `body` is POSTed when it is set."""

    name: str
    title: str
    app: str
    expect: bytes
    threads: int = 8
    connections: int = 32
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    idle: int = 0
    target: str = "/"
    kind: str = field(default="load")

    @property
    def method(self) -> str:
        return "POST" if self.body else "GET"


WORKLOADS = (
    Workload(name="hello", title="hello, 1 thread", app="hello:app", expect=HELLO, threads=1),
    Workload(name="hello8", title="hello, 8 threads", app="hello:app", expect=HELLO),
    Workload(name="browser", title="hello, a browser's 12 fields", app="hello:app", expect=HELLO, headers=BROWSER),
    Workload(name="flask", title="Flask view", app="flask_view:app", expect=HELLO),
    Workload(name="generator", title="64 KiB from a generator", app="generator:app", expect=SIXTEEN * 4096),
    Workload(name="echo", title="100 KiB POST echo", app="echo:app", expect=SIXTEEN * 6400, body=SIXTEEN * 6400),
    Workload(name="file", title="1 MiB file_wrapper", app="bigfile:app", expect=SIXTEEN * 65536),
    Workload(name="idle", title="2,000 idle connections + 32 active", app="hello:app", expect=HELLO, idle=2000),
    Workload(name="sleep", title="10 ms sleep, 32 threads", app="sleepy:app", expect=b"slept\n", threads=32),
    Workload(name="mix", title="1 in 10 sleeps 50 ms, 32 threads", app="mixed:app", expect=b"mixed\n", threads=32),
    Workload(name="startup", title="start-up to the first answer", app="hello:app", expect=HELLO, kind="startup"),
)
