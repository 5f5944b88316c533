"""Middleware that breaks a rule of headers or environ, one rule each. Deliberately wrong: do not imitate."""

from __future__ import annotations

from typing import Any

from wsgikit.validators.specimens.middleware_parts import Closing, Edited, Passing, edit
from wsgikit.validators.specimens.model import breaks


@breaks("M12", seen_by="middleware")
def drops_exc_info(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        def start(status: Any, headers: Any, exc_info: Any = None) -> Any:
            return start_response(status, headers)

        return app(environ, start)

    return middleware


@breaks("M12", seen_by="middleware")
def takes_two_arguments(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        def start(status: Any, headers: Any) -> Any:
            return start_response(status, headers)

        return app(environ, start)

    return middleware


@breaks("M13", seen_by="middleware")
def has_no_write(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        def start(*args: Any) -> Any:
            start_response(*args)
            return lambda data: None

        return app(environ, start)

    return middleware


@breaks("M13", seen_by="middleware")
def transforms_blocks_only(app: Any) -> Any:
    class Loud(Closing):
        def __iter__(self) -> Any:
            return (block.upper() for block in self.inner)

    return lambda environ, start_response: Loud(app(environ, start_response))


@breaks("M14", seen_by="middleware")
def collects_errors(app: Any) -> Any:
    errors: list[Any] = []

    def middleware(environ: Any, start_response: Any) -> Any:
        def start(status: Any, headers: Any, exc_info: Any = None) -> Any:
            errors.append(exc_info)
            return start_response(status, headers, exc_info)

        return app(environ, start)

    return middleware


@breaks("M15", seen_by="middleware")
def wraps_environ(app: Any) -> Any:
    class Environ(dict[str, Any]):
        pass

    return lambda environ, start_response: app(Environ(environ), start_response)


@breaks("M16", seen_by="middleware")
def needs_the_status_at_once(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        seen: list[Any] = []

        def start(status: Any, headers: Any, *exc_info: Any) -> Any:
            seen[:] = [status]
            return start_response(status, headers, *exc_info)

        inner = app(environ, start)
        if seen and seen[0].startswith("200"):
            return inner
        return Passing(inner, b"no page")

    return middleware


@breaks("M17", seen_by="middleware")
def asks_for_a_file_name(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        inner = app(environ, start_response)
        getattr(inner, "filelike", None)
        return inner

    return middleware


@breaks("M18", seen_by="middleware")
def keeps_len_and_adds_a_block(app: Any) -> Any:
    class Signed(Closing):
        def __len__(self) -> int:
            return len(self.inner)

        def __iter__(self) -> Any:
            yield from self.inner
            yield b" (signed)"

    def middleware(environ: Any, start_response: Any) -> Any:
        def start(status: Any, headers: Any, *exc_info: Any) -> Any:
            headers = [header for header in headers if header[0].lower() != "content-length"]
            return start_response(status, headers, *exc_info)

        return Signed(app(environ, start))

    return middleware


@breaks("M19", seen_by="middleware")
def adds_to_the_body_only(app: Any) -> Any:
    class Signed(Closing):
        def __iter__(self) -> Any:
            yield from self.inner
            yield b" (signed)"

    return lambda environ, start_response: Signed(app(environ, start_response))


@breaks("M20", seen_by="middleware")
def knows_one_spelling(app: Any) -> Any:
    def changed(headers: Any) -> Any:
        return [
            (name, value.partition(";")[0] if name == "Content-Type" else value + "") for name, value in headers
        ] + ([("X-Plain", "yes")] if ("Content-Type", "text/plain") in headers else [])

    return edit(app, changed)


@breaks("M22", seen_by="middleware")
def hides_late_errors(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        def start(status: Any, headers: Any, exc_info: Any = None) -> Any:
            try:
                return start_response(status, headers, exc_info)
            except Exception:
                return lambda data: None
            finally:
                exc_info = None

        return app(environ, start)

    return middleware


@breaks("M23", seen_by="middleware")
def replaces_the_input(app: Any) -> Any:
    class Input:
        def read(self, size: int = -1) -> bytes:
            return b""

    return lambda environ, start_response: app({**environ, "wsgi.input": Input()}, start_response)


@breaks("M24", seen_by="middleware")
def mounts_without_moving_the_path(app: Any) -> Any:
    return lambda environ, start_response: app({**environ, "SCRIPT_NAME": "/a"}, start_response)


@breaks("M25", seen_by="middleware")
def copies_file_wrappers(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        wrapper = environ["wsgi.file_wrapper"]
        inner = app(environ, start_response)
        return Edited(inner) if isinstance(inner, wrapper) else inner

    return middleware


@breaks("M26", seen_by="middleware")
def keeps_its_header_list(app: Any) -> Any:
    kept: list[Any] = []

    def changed(headers: Any) -> Any:
        if not kept:
            kept.extend(headers)
        elif any(name == "X-Script" for name, _ in headers) and ("X-Spoiled", "by the server") not in kept:
            kept[:] = headers
        return kept

    return edit(app, changed)


@breaks("M27", seen_by="middleware")
def drops_what_it_does_not_know(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        known = {key: value for key, value in environ.items() if key not in ("REMOTE_ADDR", "QUERY_STRING")}
        return app(known, start_response)

    return middleware


@breaks("M28", seen_by="middleware")
def acts_on_connection(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        if "close" in environ.get("HTTP_CONNECTION", ""):
            start_response("503 Busy", [("Content-Type", "text/plain")])
            return [b"come back later"]
        return app(environ, start_response)

    return middleware
