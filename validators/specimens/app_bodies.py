"""Apps that break a rule of the body or the streams, one rule each. Deliberately wrong: do not imitate."""

from __future__ import annotations

import sys
from typing import Any

from wsgikit.validators.app.driver import Conduct
from wsgikit.validators.app.request import Request
from wsgikit.validators.specimens.model import breaks

PLAIN = [("Content-Type", "text/plain")]
_POST = Request(method="POST", body=b"name=value")


class Lying(list[bytes]):
    """A list that says it is longer."""

    def __len__(self) -> int:
        return super().__len__() + 1


@breaks("A24")
def block_before_start_response(environ: Any, start_response: Any) -> Any:
    yield b"hello"
    start_response("200 OK", list(PLAIN))


@breaks("A25")
def never_started(environ: Any, start_response: Any) -> Any:
    return []


@breaks("A26")
def returns_none(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", list(PLAIN))
    write(b"hello")


@breaks("A26")
def returns_a_number(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    return 200


@breaks("A27")
def block_of_str(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    return ["hello"]


@breaks("A27")
def block_of_bytearray(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    return [bytearray(b"hello")]


@breaks("A27")
def block_of_none(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    yield None


@breaks("A28")
def returns_str(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    return "hello"


@breaks("A28")
def returns_bytes(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    return b"hello"


@breaks("A29")
def len_too_large(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    return Lying([b"hello"])


@breaks("A31")
def drop_by_drop(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    return [b"x"] * 500


@breaks("A36")
def swallows_the_abort(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    yield b"begun"
    try:
        raise ValueError("a bug")
    except ValueError:
        try:
            start_response("500 Oops", list(PLAIN), sys.exc_info())
        except ValueError:
            yield b"and carried on"


@breaks("A39")
def uses_write(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", list(PLAIN))
    write(b"hello")
    return []


@breaks("A40")
def writes_str(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", list(PLAIN))
    write("hello")
    return []


@breaks("A40")
def writes_twice_at_once(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", list(PLAIN))
    write(b"hello", b"world")
    return []


@breaks("A41")
def writes_while_iterated(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", list(PLAIN))

    def blocks() -> Any:
        write(b"hello")
        yield b"world"

    return blocks()


@breaks("A42", request=_POST)
def reads_too_much(environ: Any, start_response: Any) -> Any:
    environ["wsgi.input"].read(65536)
    start_response("200 OK", list(PLAIN))
    return [b""]


@breaks("A42", conduct=Conduct(environ="minimal"))
def reads_where_nothing_is(environ: Any, start_response: Any) -> Any:
    environ["wsgi.input"].read(10)
    start_response("200 OK", list(PLAIN))
    return [b""]


@breaks("A43", request=_POST, conduct=Conduct(rich_streams=True))
def rewinds_the_input(environ: Any, start_response: Any) -> Any:
    environ["wsgi.input"].seek(0)
    start_response("200 OK", list(PLAIN))
    return [b""]


@breaks("A43", conduct=Conduct(rich_streams=True))
def asks_for_the_position_of_errors(environ: Any, start_response: Any) -> Any:
    environ["wsgi.errors"].tell()
    start_response("200 OK", list(PLAIN))
    return [b""]


@breaks("A44", request=_POST, conduct=Conduct(rich_streams=True))
def closes_the_input(environ: Any, start_response: Any) -> Any:
    environ["wsgi.input"].close()
    start_response("200 OK", list(PLAIN))
    return [b""]


@breaks("A46")
def logs_bytes(environ: Any, start_response: Any) -> Any:
    environ["wsgi.errors"].write(b"hello\n")
    start_response("200 OK", list(PLAIN))
    return [b""]


@breaks("A48")
def body_too_long(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Content-Length", "3")])
    return [b"hello"]


@breaks("A48")
def body_too_short(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Content-Length", "50")])
    return [b"hello"]


@breaks("A50", request=Request(method="HEAD"))
def body_for_head(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    return [b"hello"]


@breaks("A50")
def body_with_not_modified(environ: Any, start_response: Any) -> Any:
    start_response("304 Not Modified", [])
    return [b"hello"]


@breaks("A52", conduct=Conduct(file_wrapper=True))
def wraps_a_path(environ: Any, start_response: Any) -> Any:
    environ["wsgi.file_wrapper"]("/etc/hostname")
    start_response("200 OK", list(PLAIN))
    return [b""]
