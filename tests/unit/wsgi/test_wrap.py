"""The thirteen rows of PEP 3333 that middleware breaks most often, each with the apps that show it."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any
from wsgiref.validate import validator

import pytest
import wsgi_apps
from paper_link import PaperLink
from wsgi_apps import BODIES, CLOSES, FAILING, LEGAL, WHOLE, make
from wsgi_gateway import FileWrapper, drive, make_environ

from wsgikit.errors import LimitError
from wsgikit.wsgi.wrap import Blocks, Collect, Discard, Replace, Response, Tap, Transform, may_start_late, wrap


class Layer:
    """A middleware made of keyword hooks, which counts on_close."""

    def __init__(self, app: Any, **hooks: Any) -> None:
        self.app = app
        self.hooks = hooks
        self.over: list[Response] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return wrap(self.app, environ, start_response, **self.hooks, on_close=self.over.append)


class NoClose(Layer):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        return wrap(self.app, environ, start_response, **self.hooks)


def upper(response: Response) -> Transform | None:
    return Blocks(bytes.upper) if response.may_rewrite else None


def collected(response: Response) -> Transform | None:
    return Collect(lambda body: b"<" + body + b">", limit=1000) if response.may_rewrite else None


def untouched(response: Response) -> None:
    return None


def tapped(response: Response) -> Transform:
    response.state = []
    return Tap(response.state.append)


def header(response: Response) -> None:
    response.set("X-Layer", "yes")


def again(response: Response) -> bytes:
    raise


PASSING = {
    "nothing": {},
    "headers": {"on_headers": header},
    "chose nothing": {"on_body": untouched},
    "tap": {"on_body": tapped},
    "error": {"on_error": again},
    "all": {"on_headers": header, "on_body": tapped, "on_error": again},
}


@pytest.mark.parametrize("kind", [Layer, NoClose])
@pytest.mark.parametrize("hooks", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("name", [*LEGAL, *FAILING])
def test_a_layer_that_changes_nothing_cannot_be_told_from_none(name: str, hooks: Any, kind: Any) -> None:
    bare_app, app = make(name), make(name)
    bare, seen = drive(bare_app), drive(kind(app, **hooks))
    assert (seen.status, seen.body, seen.blocks) == (bare.status, bare.body, bare.blocks)
    expected = [*bare.headers, ("X-Layer", "yes")] if bare.status and "on_headers" in hooks else bare.headers
    assert seen.headers == expected
    assert app.closed == bare_app.closed
    assert (type(seen.error), seen.aborted) == (type(bare.error), bare.aborted)


@pytest.mark.parametrize("name", LEGAL)
def test_legal_apps_answer_as_the_table_says(name: str) -> None:
    app = make(name)
    seen = drive(app)
    assert (seen.error, seen.body, app.closed) == (None, BODIES[name], int(name in CLOSES))


@pytest.mark.parametrize("name", [*LEGAL, *FAILING])
@pytest.mark.parametrize("body", [None, untouched, upper, collected, tapped])
@pytest.mark.parametrize("server", [{}, {"wsgikit.on_close": True}], ids=["foreign", "wsgikit"])
def test_row_1_close_is_called_once_and_then_on_close(name: str, body: Any, server: Any) -> None:
    app = make(name)
    layer = Layer(app, on_body=body)
    environ = make_environ(**server)
    seen = drive(layer, environ)
    assert len(layer.over) == 1
    assert app.closed == (1 if type(seen.returned) is not list and name in CLOSES else app.closed)
    assert app.closed <= 1


@pytest.mark.parametrize("take", [1, 2])
@pytest.mark.parametrize("body", [None, untouched, upper, collected])
def test_row_1_a_client_that_leaves_early_still_closes_the_apps_iterable(take: int, body: Any) -> None:
    app = make("lazy_iterable")
    layer = Layer(app, on_body=body)
    drive(layer, take=take)
    assert (app.closed, len(layer.over)) == (1, 1)


def test_row_1_on_close_runs_when_the_apps_close_fails_and_its_error_goes_on() -> None:
    for body in (None, upper):
        app = make("raises_in_close")
        layer = Layer(app, on_body=body)
        assert isinstance(drive(layer).error, OSError)
        assert (app.closed, len(layer.over)) == (1, 1)


def test_row_1_closing_twice_closes_once() -> None:
    for body in (None, upper):
        app = make("eager_iterable")
        layer = Layer(app, on_body=body)
        iterable: Any = layer(make_environ(), lambda *a: bytes)
        iterable.close()
        iterable.close()
        assert (app.closed, len(layer.over)) == (1, 1)


@pytest.mark.parametrize("name", ["lazy_generator", "lazy_iterable", "lazy_and_empty"])
def test_row_2_headers_of_an_app_that_starts_late_are_seen(name: str) -> None:
    seen = drive(Layer(make(name), on_headers=header, on_body=upper))
    assert (seen.get("X-Layer"), seen.body) == ("yes", BODIES[name].upper())


@pytest.mark.parametrize("body", [None, upper, collected])
def test_row_2_the_apps_iterable_is_not_touched_before_the_server_asks(body: Any) -> None:
    app = make("lazy_iterable")
    Layer(app, on_body=body)(make_environ(), lambda *a: bytes)
    assert app.nexts == 0


@pytest.mark.parametrize("body", [None, untouched, upper, tapped])
@pytest.mark.parametrize("name", ["mind_changed_in_call", "mind_changed_while_iterating"])
def test_row_3_a_replaced_head_replaces_all_of_the_old_one(name: str, body: Any) -> None:
    seen = drive(Layer(make(name), on_headers=header, on_body=body))
    assert (seen.status, seen.get("X-Old"), seen.all("X-Layer")) == ("500 Oops", None, ["yes"])


def test_row_3_what_was_collected_for_the_old_head_is_dropped() -> None:
    def app(environ: Any, start: Any) -> Any:
        start("200 OK", [("Content-Type", "text/plain")])
        yield b"half of a page"
        try:
            raise ValueError
        except ValueError:
            start("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        yield b"sorry"

    seen = drive(Layer(app, on_body=collected))
    assert (seen.status, seen.body, seen.error) == ("500 Oops", b"<sorry>", None)


def test_row_3_a_generator_returned_by_identity_is_not_transformed_when_it_changes_its_mind() -> None:
    def only_errors(response: Response) -> Transform | None:
        return Blocks(bytes.upper) if response.code == 500 else None

    def app(environ: Any, start: Any) -> Any:
        start("200 OK", [("Content-Type", "text/plain")])

        def blocks() -> Any:
            try:
                raise ValueError
            except ValueError:
                start("500 Oops", [("Content-Type", "text/plain"), ("Content-Length", "5")], sys.exc_info())
            yield b"sorry"

        return blocks()

    seen = drive(Layer(app, on_body=only_errors))
    assert (seen.status, seen.body, seen.get("Content-Length")) == ("500 Oops", b"sorry", "5")


@pytest.mark.parametrize("body", [None, untouched, upper, tapped])
@pytest.mark.parametrize("name", ["mind_changed_too_late", "written_then_mind_changed"])
def test_row_4_after_output_exc_info_is_raised_again(name: str, body: Any) -> None:
    seen = drive(Layer(make(name), on_body=body))
    assert isinstance(seen.error, ValueError)
    assert seen.body.lower() == wsgi_apps.BLOCKS[0].lower()


def test_row_4_a_server_that_forgets_to_raise_is_made_up_for() -> None:
    def lenient(status: str, headers: Any, exc_info: Any = None) -> Any:
        return lambda data: None

    iterable = iter(Layer(make("mind_changed_too_late"), on_body=upper)(make_environ(), lenient))
    next(iterable)
    with pytest.raises(ValueError, match="after output"):
        next(iterable)


def test_row_4_starting_twice_without_exc_info_is_an_error_also_while_the_head_waits() -> None:
    for body in (None, upper):
        assert "second time" in str(drive(Layer(make("starts_twice"), on_body=body)).error)


def test_row_4_no_reference_to_the_exception_stays() -> None:
    class Custom(ValueError):
        pass

    refs: list[weakref.ref[Custom]] = []

    def app(environ: Any, start: Any) -> Any:
        write = start("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/late":
            write(b"begun")
        try:
            error = Custom()
            refs.append(weakref.ref(error))
            raise error
        except Custom:
            del error
            start("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    gc.collect()
    gc.disable()
    try:
        for path, body in (("/", None), ("/", upper), ("/late", None), ("/late", upper)):
            sent: list[bytes] = []

            def start_response(status: str, headers: Any, exc_info: Any = None, sent: Any = sent) -> Any:
                try:
                    if exc_info and sent:
                        raise exc_info[1].with_traceback(exc_info[2])
                finally:
                    del exc_info
                return sent.append

            try:  # not the gateway: it keeps the error, and its own frames with it
                Layer(app, on_body=body)(make_environ(path=path), start_response)
                raised = False
            except Custom:
                raised = True
            assert raised is (path == "/late")
            assert refs[-1]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["only_write", "write_then_iterate"])
def test_row_5_written_data_goes_through_the_same_transform_and_comes_first(name: str) -> None:
    seen = drive(Layer(make(name), on_body=upper))
    assert (seen.body, len(seen.written)) == (WHOLE.upper(), 3 if name == "only_write" else 1)
    seen = drive(Layer(make(name), on_body=collected))
    assert (seen.body, seen.written) == (b"<" + WHOLE + b">", [])


def test_row_5_a_body_that_was_only_written_and_collected_has_a_content_length() -> None:
    assert drive(Layer(make("only_write"), on_body=collected)).get("Content-Length") == str(len(WHOLE) + 2)


@pytest.mark.parametrize("body", [untouched, upper, collected, tapped])
@pytest.mark.parametrize("name", ["lazy_iterable", "eager_iterable", "empty_blocks_between", "own_iterator"])
def test_row_6_each_block_in_gives_one_block_out_at_once(name: str, body: Any) -> None:
    app = make(name)
    iterator = iter(Layer(app, on_body=body)(make_environ(), lambda *a: bytes))
    for count in range(1, len(drive(make(name)).blocks) + 1):
        block = next(iterator)
        assert app.nexts == count
        assert block == b"" or body is not collected


@pytest.mark.parametrize("name", LEGAL)
@pytest.mark.parametrize("body", [upper, collected])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_row_7_content_length_is_true_or_absent(name: str, body: Any, method: str) -> None:
    seen = drive(Layer(make(name), on_body=body), make_environ(method))
    if not upper(_head(seen)) or method == "HEAD":
        assert seen.body == BODIES[name]
    elif seen.get("Content-Length"):
        assert seen.get("Content-Length") == str(len(seen.body))
    if method == "HEAD" and body is collected and _head(seen).may_rewrite:
        assert seen.get("Content-Length") is None


def _head(seen: Any) -> Response:
    response = Response(seen.environ, None, ())  # type: ignore[arg-type]
    response.status, response.headers = seen.status, list(seen.headers)
    return response


@pytest.mark.parametrize("name", ["plain_list", "list_of_blocks", "empty_list", "one_block_declared"])
def test_row_7_content_length_is_computed_where_the_whole_body_is_there(name: str) -> None:
    seen = drive(Layer(make(name), on_body=collected))
    assert seen.get("Content-Length") == str(len(BODIES[name]) + 2)
    assert seen.body == b"<" + BODIES[name] + b">"


def blocks_of(declared: int, *blocks: bytes, how: str = "list") -> Any:
    def app(environ: Any, start: Any) -> Any:
        write = start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(declared))])
        if how == "write":
            for block in blocks:
                write(block)
            return []
        return list(blocks) if how == "list" else iter(blocks)

    return app


@pytest.mark.parametrize("hook", [upper, collected])
@pytest.mark.parametrize("how", ["list", "iterate", "write"])
def test_row_7_a_body_that_was_cut_off_does_not_become_a_whole_one(how: str, hook: Any) -> None:
    layer = Layer(blocks_of(9, b"one", b"two", how=how), on_body=hook)
    seen = drive(layer)
    assert "ended after 6 bytes of its Content-Length 9" in str(seen.error)
    assert len(layer.over) == 1


@pytest.mark.parametrize("how", ["list", "iterate", "write"])
def test_row_7_nothing_past_the_declared_length_goes_into_the_body(how: str) -> None:
    for blocks in ((b"one", b"two"), (b"o", b"netwo"), (b"onetwo",)):
        seen = drive(Layer(blocks_of(3, *blocks, how=how), on_body=collected))
        assert (seen.error, seen.body) == (None, b"<one>")
        assert seen.get("Content-Length") in ("5", None)


def test_row_7_a_body_that_is_thrown_away_may_have_any_length() -> None:
    for hook in (lambda response: Replace(b"page"), tapped):
        drive(Layer(blocks_of(9, b"one"), on_body=hook))
    assert drive(Layer(blocks_of(9), on_body=lambda response: Replace(b"page"))).body == b"page"
    assert drive(Layer(blocks_of(9), on_body=upper), make_environ("HEAD")).error is None


def test_row_7_more_than_the_declared_length_is_not_sent() -> None:
    def app(environ: Any, start: Any) -> Any:
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
        yield b"one"
        yield b"two"

    seen = drive(Layer(app, on_body=upper))
    assert (seen.get("Content-Length"), seen.body) == ("3", b"ONE")


def test_row_7_a_changed_body_loses_what_was_true_of_the_old_bytes() -> None:
    def app(environ: Any, start: Any) -> Any:
        fields = ("Content-MD5", "Repr-Digest", "Digest", "Accept-Ranges", "Content-Digest")
        start("200 OK", [*((name, "x") for name in fields), ("ETag", '"a"'), ("Content-Type", "text/plain")])
        return iter([b"x"])

    assert sorted(drive(Layer(app, on_body=upper)).headers) == [("Content-Type", "text/plain"), ("ETag", 'W/"a"')]
    assert len(drive(Layer(app, on_body=tapped)).headers) == 7


@pytest.mark.parametrize("name", ["no_content", "not_modified"])
def test_row_7_a_response_without_a_body_gets_none(name: str) -> None:
    bare, seen = drive(make(name)), drive(Layer(make(name), on_body=lambda response: Replace(b"never")))
    assert (seen.headers, seen.body) == (bare.headers, b"")


def test_row_8_the_apps_header_list_is_not_changed() -> None:
    constant = [("Content-Type", "text/plain"), ("ETag", '"v1"')]

    def app(environ: Any, start: Any) -> Any:
        start("200 OK", constant)
        return [b"x"]

    for hooks in PASSING.values():
        drive(Layer(app, **hooks))
    drive(Layer(app, on_body=upper))
    assert constant == [("Content-Type", "text/plain"), ("ETag", '"v1"')]


@pytest.mark.parametrize("hooks", [{}, {"on_headers": header}, {"on_body": untouched}, {"on_error": again}])
def test_row_9_a_file_wrapper_result_keeps_its_identity(hooks: Any) -> None:
    made: list[Any] = []

    def app(environ: Any, start: Any) -> Any:
        start("200 OK", [("Content-Type", "text/plain")])
        made.append(environ["wsgi.file_wrapper"](wsgi_apps.NoFile(make("file_body"), b"x")))
        return made[0]

    for layer, server in ((Layer, {"wsgikit.on_close": True}), (NoClose, {})):
        made.clear()
        seen = drive(layer(app, **hooks), make_environ(**server))
        assert seen.returned is made[0]
        assert isinstance(seen.returned, FileWrapper)


def test_row_9_a_file_is_transformed_like_any_iterable() -> None:
    app = make("file_body")
    assert drive(Layer(app, on_body=upper)).body == WHOLE.upper()
    assert app.closed == 1


def test_row_13_on_close_sees_the_end_of_the_response_not_of_the_call() -> None:
    layer = Layer(make("eager_iterable"), on_headers=header)
    iterable: Any = layer(make_environ(), lambda *a: bytes)
    list(iterable)
    assert layer.over == []
    iterable.close()
    assert layer.over[0].status == "200 OK"


def test_len_is_there_only_when_it_is_true() -> None:
    assert len(Layer(make("sized_iterable"))(make_environ(), lambda *a: bytes)) == 1  # type: ignore[arg-type]
    for name, body in (("sized_iterable", upper), ("eager_iterable", None)):
        iterable = Layer(make(name), on_body=body)(make_environ(), lambda *a: bytes)
        assert not hasattr(type(iterable), "__len__")


def test_a_collected_body_past_its_limit_is_an_error_before_anything_went_out() -> None:
    app = make("eager_iterable")
    seen = drive(Layer(app, on_body=lambda response: Collect(bytes, limit=20)))
    assert isinstance(seen.error, LimitError)
    assert (seen.error.code, seen.aborted, app.closed) == ("body-limit", False, 1)


def test_replace_knows_its_length_and_does_not_run_the_app_to_its_end() -> None:
    for name in ("eager_iterable", "lazy_iterable", "list_of_blocks", "only_write", "empty_list", "write_then_iterate"):
        app = make(name)
        seen = drive(Layer(app, on_body=lambda response: Replace(b"another")))
        assert (seen.body, seen.get("Content-Length")) == (b"another", "7")
        assert app.nexts <= 2


class Marked(Transform):
    """Keeps its first block for the end, and tells which of its methods made the body."""

    def __init__(self) -> None:
        self.kept = b""

    def feed(self, block: bytes) -> bytes:
        if self.kept:
            return b"f(" + block + b")"
        self.kept = block
        return b""

    def end(self) -> bytes:
        return b"e(" + self.kept + b")"

    def whole(self, body: bytes) -> bytes:
        return b"w(" + body + b")"


@pytest.mark.parametrize(
    ("writes", "blocks", "declared", "body", "length"),
    [
        ([], [b"ab"], None, b"w(ab)", "5"),
        ([], [b"a", b"b"], None, b"w(ab)", "5"),
        ([b"a"], [b"b", b"c"], None, b"f(b)f(c)e(a)", "12"),
        ([b"a"], [], None, b"e(a)", "4"),
        ([b"ab"], [], 2, b"w(ab)", "5"),
        ([b"a"], [b"b"], 1, b"w(a)", "4"),
    ],
)
def test_whole_is_for_bodies_that_are_all_there(
    writes: list[bytes], blocks: list[bytes], declared: int | None, body: bytes, length: str
) -> None:
    def app(environ: Any, start: Any) -> Any:
        fields = [("Content-Type", "text/plain")] + [("Content-Length", str(declared))] * (declared is not None)
        write = start("200 OK", fields)
        for data in writes:
            write(data)
        return blocks

    seen = drive(Layer(app, on_body=lambda response: Marked()))
    assert (seen.body, seen.get("Content-Length")) == (body, length)


def test_a_body_that_begins_with_an_empty_block_has_no_whole_as_its_head_is_out() -> None:
    def app(environ: Any, start: Any) -> Any:
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        yield b""
        yield b"ab"

    seen = drive(Layer(app, on_body=lambda response: Marked()))
    assert (seen.body, seen.get("Content-Length")) == (b"e(ab)", None)


def test_after_another_response_was_begun_the_apps_blocks_are_thrown_away() -> None:
    def choose(response: Response) -> Transform:
        def feed(block: bytes) -> bytes:
            try:
                raise ValueError
            except ValueError:
                response.restart("502 Bad", [("Content-Type", "text/plain")])
            return b"bad"

        return Blocks(feed)

    for name in ("eager_iterable", "lazy_iterable", "list_of_blocks", "only_write", "empty_blocks_between"):
        app = make(name)
        seen = drive(Layer(app, on_body=choose))
        assert (name, seen.status, seen.body, seen.error) == (name, "502 Bad", b"bad", None)


class Etag(Transform):
    """Sets a header from the body, where the body is there in time."""

    keeps_length = True
    wants_head = True

    def __init__(self, response: Response) -> None:
        self.response = response

    def whole(self, body: bytes) -> bytes:
        self.response.set("ETag", f'"{len(body)}"')
        return body


@pytest.mark.parametrize("name", [name for name in LEGAL if name not in ("no_content", "not_modified")])
def test_a_transform_may_hold_the_head_back_and_leave_the_body_alone(name: str) -> None:
    bare, seen = drive(make(name)), drive(Layer(make(name), on_body=Etag))
    assert (seen.status, seen.body) == (bare.status, bare.body)
    declared = bare.get("Content-Length")
    if name in wsgi_apps.WHOLE_AT_ONCE:
        assert seen.get("ETag") == f'"{len(bare.body)}"'
        assert seen.get("Content-Length") == str(len(bare.body))
    elif bare.body:
        assert seen.get("Content-Length") == declared


def test_discard_answers_without_a_body_and_leaves_the_headers_alone() -> None:
    def not_modified(response: Response) -> Transform:
        response.status = "304 Not Modified"
        return Discard()

    for name in ("plain_list", "eager_iterable", "lazy_iterable", "repeated_fields", "only_write"):
        app = make(name)
        bare, seen = drive(make(name)), drive(Layer(app, on_body=not_modified))
        assert (seen.status, seen.body, seen.headers) == ("304 Not Modified", b"", bare.headers)
        assert app.nexts <= 1


def page(response: Response) -> bytes:
    response.restart("500 Sorry", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return b"sorry"


@pytest.mark.parametrize("body", [None, untouched, upper, collected])
@pytest.mark.parametrize("name", ["raises_in_call", "raises_after_start", "raises_before_first_block", "returns_none"])
def test_on_error_answers_for_an_app_that_failed_before_output(name: str, body: Any) -> None:
    app = make(name)
    layer = Layer(app, on_body=body, on_error=page)
    seen = drive(layer)
    assert (seen.status, seen.body, seen.error) == ("500 Sorry", b"sorry", None)
    assert len(layer.over) == 1
    assert layer.over[0].failed
    assert app.closed == int(name == "raises_before_first_block")


@pytest.mark.parametrize("name", ["raises_after_first_block", "mind_changed_too_late", "written_then_mind_changed"])
def test_on_error_is_not_asked_after_output(name: str) -> None:
    asked: list[Response] = []
    seen = drive(Layer(make(name), on_error=lambda response: asked.append(response) or page(response)))
    assert isinstance(seen.error, ValueError)
    assert asked == []
    assert seen.body == wsgi_apps.BLOCKS[0]


def test_on_error_may_be_used_while_collecting_because_nothing_is_out() -> None:
    seen = drive(Layer(make("raises_after_first_block"), on_body=collected, on_error=page))
    assert (seen.status, seen.body) == ("500 Sorry", b"sorry")


@pytest.mark.parametrize(("name", "expected"), [("raises_in_call", 2), ("raises_after_start", 3)])
def test_uwsgi_gets_exc_info_only_where_it_has_to_as_it_loses_the_body_then(name: str, expected: int) -> None:
    calls: list[int] = []

    def start_response(*arguments: Any) -> Any:
        calls.append(len(arguments))
        return bytes

    environ = make_environ(**{"uwsgi.version": b"2.0.31"})
    assert list(Layer(make(name), on_error=page)(environ, start_response)) == [b"sorry"]
    assert calls[-1] == expected
    calls.clear()
    list(Layer(make(name), on_error=page)(make_environ(), start_response))
    assert calls[-1] == 3


def test_a_transform_may_start_another_response_when_it_fails_at_the_end() -> None:
    def choose(response: Response) -> Transform:
        def finish(body: bytes) -> bytes:
            try:
                raise ValueError("no such page")
            except ValueError:
                response.restart("404 Not Found", [("Content-Type", "text/plain")])
            return b"gone"

        return Collect(finish, limit=100)

    for name in ("eager_iterable", "plain_list", "lazy_generator", "only_write"):
        seen = drive(Layer(make(name), on_body=choose))
        assert (seen.status, seen.body, seen.error) == ("404 Not Found", b"gone", None)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_app_that_ends_the_process_is_not_answered_for_but_over(error: Any) -> None:
    def app(environ: Any, start: Any) -> Any:
        raise error

    layer = Layer(app, on_error=page)
    with pytest.raises(error):
        drive(layer)
    assert len(layer.over) == 1


def test_no_cycle_keeps_a_finished_request_alive() -> None:
    gc.collect()
    gc.disable()
    try:
        for body in (None, upper, collected):
            layer = Layer(make("lazy_iterable"), on_headers=header, on_body=body)
            iterable: Any = layer(make_environ(), lambda *a: bytes)
            list(iterable)
            iterable.close()
            ref = weakref.ref(layer.over.pop())
            del iterable
            layer.app = None
            assert ref() is None
    finally:
        gc.enable()


VALID = [name for name in LEGAL if name not in ("empty_list", "redirect", "not_modified")]


@pytest.mark.parametrize("body", [None, untouched, upper, collected, tapped])
@pytest.mark.parametrize("name", VALID)
def test_both_sides_satisfy_wsgiref_validate(name: str, body: Any) -> None:
    layer = validator(Layer(validator(_without_sized_checks(make(name))), on_headers=header, on_body=body))
    environ = make_environ()
    environ.pop("wsgi.file_wrapper")
    environ["wsgi.file_wrapper"] = FileWrapper
    seen = Validated().run(layer, environ)
    expected = BODIES[name]
    if body in (upper, collected) and _head(seen).may_rewrite:
        expected = expected.upper() if body is upper else b"<" + expected + b">"
    assert b"".join(seen.blocks) == expected


def _without_sized_checks(app: Any) -> Any:
    return lambda environ, start_response: app(environ, start_response)


class Validated:
    """wsgiref.validate changes the environ it is given, so the strict gateway cannot drive it."""

    def run(self, app: Any, environ: Any) -> Any:
        self.status, self.headers, self.environ = "", [], environ
        self.blocks: list[bytes] = []

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
            self.status, self.headers = status, headers
            return self.blocks.append

        iterable = app(environ, start_response)
        try:
            self.blocks.extend(iterable)
        finally:
            iterable.close()
        return self


def test_only_our_own_layers_may_be_started_late() -> None:
    started: list[bool] = []

    def app(environ, start_response):
        started.append(may_start_late(start_response))
        start_response("200 OK", [])
        return []

    def foreign(environ, start_response):
        return app(environ, lambda *args: start_response(*args))

    def ours(inner):
        return lambda environ, start_response: wrap(inner, environ, start_response, on_headers=lambda response: None)

    for each in (app, ours(ours(app)), foreign, ours(foreign), lambda environ, start: foreign(environ, start)):
        PaperLink(each).take(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    outside = ours(app)
    PaperLink(lambda environ, start: outside(environ, lambda *args: start(*args))).take(
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert started == [True, True, False, False, False, False]
