"""Random apps under random stacks of layers, compared with the same app without any."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from wsgi_gateway import Seen, drive, make_environ

from wsgikit.wsgi.wrap import Blocks, Collect, Response, Tap, Transform, wrap


@dataclass(frozen=True)
class Script:
    """An app as data. `change` and `fail` say before which block the app changes its mind or raises."""

    shape: str
    lazy: bool
    declared: bool
    writes: list[bytes]
    blocks: list[bytes]
    change: int | None
    fail: int | None


class Broken(Exception):
    pass


class App:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.closed = 0

    def __call__(self, environ: Any, start: Any) -> Any:
        script = self.script
        if script.shape in ("list", "tuple"):
            self._begin(start)
            return (list if script.shape == "list" else tuple)(script.blocks)
        if not script.lazy:
            self._begin(start)
        return Iterable(self, start)

    def _begin(self, start: Any) -> None:
        length = sum(map(len, self.script.writes + self.script.blocks))
        fields = [("Content-Type", "text/plain")]
        if self.script.declared:
            fields.append(("Content-Length", str(length)))
        write = start("200 OK", fields)
        for data in self.script.writes:
            write(data)

    def generate(self, start: Any) -> Any:
        script = self.script
        for number, block in enumerate([*script.blocks, None]):
            if script.lazy and number == 0:
                self._begin(start)
            if number == script.change:
                try:
                    raise Broken("changed")
                except Broken:
                    start("500 Changed", [("Content-Type", "text/plain")], sys.exc_info())
            if number == script.fail:
                raise Broken("failed")
            if block is not None:
                yield block


class Iterable:
    def __init__(self, app: App, start: Any) -> None:
        self.app, self.start = app, start

    def __iter__(self) -> Any:
        return self.app.generate(self.start)

    def close(self) -> None:
        self.app.closed += 1


BLOCK = st.sampled_from([b"", b"a", b"bc", b"hello world"])
SCRIPTS = st.builds(
    Script,
    shape=st.sampled_from(["list", "tuple", "iterable", "iterable"]),
    lazy=st.booleans(),
    declared=st.booleans(),
    writes=st.lists(BLOCK, max_size=2),
    blocks=st.lists(BLOCK, max_size=4),
    change=st.none() | st.integers(0, 4),
    fail=st.none() | st.integers(0, 4),
)


def _marked(response: Response) -> None:
    response.add("X-Layer", "1")


def _ignored(response: Response) -> None:
    return None


def _upper(response: Response) -> Transform:
    return Blocks(bytes.upper)


def _suffixed(response: Response) -> Transform:
    return Blocks(lambda block: block, lambda: b"!")


def _doubled(response: Response) -> Transform:
    return Blocks(lambda block: block + block)


def _swallowed(response: Response) -> Transform:
    return Blocks(lambda block: b"")


def _tapped(response: Response) -> Transform:
    return Tap(len)


def _reversed(response: Response) -> Transform:
    return Collect(lambda body: body[::-1], limit=10_000)


def _raised(response: Response) -> bytes:
    raise


STREAMING: dict[str, tuple[dict[str, Any], Callable[[bytes], bytes]]] = {
    "nothing": ({}, bytes),
    "headers": ({"on_headers": _marked}, bytes),
    "ignored": ({"on_body": _ignored}, bytes),
    "tapped": ({"on_body": _tapped}, bytes),
    "error": ({"on_error": _raised}, bytes),
    "upper": ({"on_body": _upper, "on_headers": _marked}, bytes.upper),
}
WHOLE: dict[str, tuple[dict[str, Any], Callable[[bytes], bytes]]] = {
    "suffixed": ({"on_body": _suffixed}, lambda body: body + b"!"),
    "swallowed": ({"on_body": _swallowed}, lambda body: b""),
    "reversed": ({"on_body": _reversed}, lambda body: body[::-1]),
}


class Layer:
    def __init__(self, app: Any, hooks: dict[str, Any], over: list[Response]) -> None:
        self.app, self.hooks, self.over = app, hooks, over

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return wrap(self.app, environ, start_response, **self.hooks, on_close=self.over.append)


def stacked(script: Script, names: list[str], method: str, ours: bool) -> tuple[Seen, App, list[Response]]:
    app = App(script)
    over: list[Response] = []
    stack: Any = app
    for name in names:
        stack = Layer(stack, {**STREAMING, **WHOLE}[name][0], over)
    environ = make_environ(method, **({"wsgikit.on_close": True} if ours else {}))
    return drive(stack, environ), app, over


@given(SCRIPTS, st.lists(st.sampled_from(sorted(STREAMING)), max_size=4), st.booleans())
def test_streaming_layers_give_the_same_outcome_as_none(script: Script, names: list[str], ours: bool) -> None:
    bare_app = App(script)
    bare = drive(bare_app)
    seen, app, over = stacked(script, names, "GET", ours)
    body = bare.body.upper() if "upper" in names else bare.body
    if "upper" in names and b"" in script.writes:
        return  # write(b"") sends the head, but a transform that may collect leaves the decision open
    assert (seen.body, type(seen.error), seen.aborted) == (body, type(bare.error), bare.aborted)
    if bare.error is None or bare.aborted:
        assert seen.status == bare.status  # else the head was still waiting for the first block
    assert (app.closed, len(over)) == (bare_app.closed, len(names))
    assert len(seen.blocks) >= len(bare.blocks)
    if seen.get("Content-Length") and not seen.error:
        assert seen.get("Content-Length") == str(len(seen.body))


NAMES = st.lists(st.sampled_from(sorted({**STREAMING, **WHOLE})), min_size=1, max_size=4)


@given(SCRIPTS, NAMES, st.booleans())
def test_any_stack_over_an_app_that_does_not_fail(script: Script, names: list[str], ours: bool) -> None:
    bare = drive(App(script))
    seen, app, over = stacked(script, names, "GET", ours)
    assert len(over) == len(names)
    assert app.closed <= 1
    if bare.error is not None or bare.status != "200 OK":
        return  # what is collected may still be replaced where bare output could not: a rule of its own in test_wrap
    body = bare.body
    for name in names:
        body = {**STREAMING, **WHOLE}[name][1](body)
    assert (seen.body, seen.status, seen.error) == (body, bare.status, None)
    assert len(seen.blocks) >= len(bare.blocks)
    if seen.get("Content-Length"):
        assert seen.get("Content-Length") == str(len(seen.body))


@given(SCRIPTS, NAMES, st.integers(1, 3))
def test_a_client_that_leaves_closes_everything_once(script: Script, names: list[str], take: int) -> None:
    app, over = App(script), list[Response]()
    stack: Any = app
    for name in names:
        stack = Layer(stack, {**STREAMING, **WHOLE}[name][0], over)
    drive(stack, take=take)
    assert len(over) == len(names)
    assert app.closed <= 1
    assert app.closed == 1 or script.shape != "iterable" or drive(App(script)).returned is None


@given(SCRIPTS, NAMES)
def test_head_sends_the_headers_of_get_and_never_runs_a_transform(script: Script, names: list[str]) -> None:
    bare = drive(App(script))
    seen, _, _ = stacked(script, names, "HEAD", False)
    assert seen.body == bare.body
    got, _, _ = stacked(script, names, "GET", False)
    if bare.error is None and got.error is None and bare.status == "200 OK":
        assert seen.status == got.status
        drop = {"content-length"}
        assert [x for x in seen.headers if x[0].lower() not in drop] == [
            x for x in got.headers if x[0].lower() not in drop
        ]
