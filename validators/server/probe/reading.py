"""Endpoints about wsgi.input and wsgi.errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .call import Call, bytes_facts, type_name


def echo(call: Call) -> Iterable[bytes]:
    """Reads the body as a careful app does, reports it, and answers with its size.

    With CONTENT_LENGTH it reads that many bytes; a chunked body without one it reads to the end; else nothing. The
    driver's plan can forbid reading, and give status and body of the answer; not so for the request by which the driver
    finds out what became of a connection.
    """
    plan, data = call.plan if call.environ.get("PATH_INFO") != "/follow-up" else {}, b""
    if plan.get("reads", True):
        data, trouble = _read_body(call)
        call.report("body", trouble=trouble, **bytes_facts(data))
    else:
        call.report("unread")
    if not plan:
        return call.answer(b"%d" % len(data))
    blocks = [block.encode("latin-1") for block in plan["blocks"]]
    call.start_response(plan["status"], call.headers(sum(map(len, blocks)) if plan["length"] else None))
    return blocks if len(blocks) == 1 else iter(blocks)


def _read_body(call: Call) -> tuple[bytes, str]:
    environ, data = call.environ, b""
    length = str(environ.get("CONTENT_LENGTH", ""))
    chunked = "HTTP_TRANSFER_ENCODING" in environ or environ.get("wsgi.input_terminated")
    left = int(length) if length.isdigit() else -1 if chunked else 0
    try:
        while left:
            part = environ["wsgi.input"].read(min(left, 65536) if left > 0 else 65536)
            if not part:
                break
            data += part
            left -= len(part) if left > 0 else 0
    except Exception as error:
        return data, f"{type(error).__name__}: {error}"[:300]
    return data, "short" if left > 0 else ""


def read_steps(call: Call) -> Iterable[bytes]:
    """Runs the steps named in `do`, separated by commas, and reports after each what it gave.

    r5 read(5), r read(), l readline(), l3 readline(3), a readlines(), a4 readlines(4), n next(iter(input)), i a loop
    over it.
    """
    for number, step in enumerate(call.option("do").split(",")):
        try:
            result = _step(call.environ["wsgi.input"], step)
        except Exception as error:
            call.report("step", number=number, step=step, raised=f"{type(error).__name__}: {error}"[:200])
            continue
        call.report("step", number=number, step=step, raised=None, **_facts(result))
    return call.answer()


def _step(stream: Any, step: str) -> Any:
    size = [int(step[1:])] if step[1:] else []
    methods: dict[str, Callable[[], Any]] = {
        "r": lambda: stream.read(*size),
        "l": lambda: stream.readline(*size),
        "a": lambda: stream.readlines(*size),
        "n": lambda: next(iter(stream), b""),
        "i": lambda: list(stream),
    }
    return methods[step[:1]]()


def _facts(result: Any) -> dict[str, Any]:
    items = result if isinstance(result, list) else [result]
    types = sorted({type_name(item) for item in items})
    if not all(isinstance(item, (bytes, bytearray, memoryview)) for item in items):
        return {"list": isinstance(result, list), "types": types, "value": repr(result)[:300]}
    joined = [bytes(item)[:3000].decode("latin-1") for item in items[:200]]
    return {
        "list": isinstance(result, list),
        "types": types,
        "value": joined if isinstance(result, list) else joined[0],
    }


ODD_TEXT = {
    "plain": "plain ascii",
    "latin": "caf\xe9",
    "wide": "\u20ac \u65e5\u672c\u8a9e",
    "astral": "\U0001f40d",
    "surrogate": "\ud800 alone",
    "control": "\x00\x1b[0m",
}


def errors_text(call: Call) -> Iterable[bytes]:
    """Writes one kind of text to wsgi.errors by write(), then by writelines(), then flushes."""
    errors = call.environ["wsgi.errors"]
    text = "probe: " + ODD_TEXT[call.option("kind", "plain")] + "\n"
    call.attempt("write", lambda: errors.write(text))
    call.attempt("writelines", lambda: errors.writelines([text, text]))
    call.attempt("flush", lambda: errors.flush())
    return call.answer()


ENDPOINTS = {"echo": echo, "read-steps": read_steps, "errors-text": errors_text}
