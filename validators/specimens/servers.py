"""Servers that break a rule of the call or of environ, seen by the lint. Deliberately wrong: do not imitate."""

from __future__ import annotations

from typing import Any

from wsgikit.validators.lint import Lint
from wsgikit.validators.specimens.model import breaks
from wsgikit.validators.specimens.serving import environ_with, serve, start_response


@breaks("S03")
def keyword_arguments(app: Any) -> None:
    result = app(environ=environ_with(), start_response=start_response)
    list(result)


@breaks("S03")
def three_arguments(app: Any) -> None:
    try:
        app(environ_with(), start_response, None)
    except TypeError:
        pass


@breaks("S04")
def environ_of_a_subclass(app: Any) -> None:
    class Environ(dict[str, Any]):
        pass

    serve(app, Environ(environ_with()))


@breaks("S06")
def no_server_protocol(app: Any) -> None:
    serve(app, environ_with(SERVER_PROTOCOL=None))


@breaks("S06")
def no_request_method(app: Any) -> None:
    serve(app, environ_with(REQUEST_METHOD=None))


@breaks("S06")
def no_url_scheme(app: Any) -> None:
    serve(app, environ_with(wsgi__url_scheme=None))


@breaks("S08")
def start_response_returns_nothing(app: Any) -> None:
    def start(status: Any, headers: Any, exc_info: Any = None) -> Any:
        return None

    serve(app, environ_with(), start)


@breaks("S13")
def never_closes(app: Any) -> None:
    for _ in app(environ_with(), start_response):
        pass
    if isinstance(app, Lint):
        app.finish()


@breaks("S13")
def never_closes_and_goes_on(app: Any) -> None:
    kept = []
    for _ in range(4):
        result = app(environ_with(), start_response)
        kept.append(result)
        list(result)


@breaks("S14")
def does_not_close_after_an_error(app: Any) -> None:
    def failing(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"begun"
        raise ValueError("a bug")

    lint = Lint(failing)
    lint.recorder = app.recorder
    try:
        for _ in lint(environ_with(), start_response):
            pass
    except ValueError:
        pass
    lint.finish()


@breaks("S16")
def closes_twice(app: Any) -> None:
    result = app(environ_with(), start_response)
    list(result)
    result.close()
    result.close()


@breaks("S19")
def looks_into_the_iterable(app: Any) -> None:
    class Page(list[bytes]):
        title = "secret"

    def own(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Page([b"hello"])

    lint = Lint(own)
    lint.recorder = app.recorder
    result = lint(environ_with(), start_response)
    if getattr(result, "title", None) == "secret":
        list(result)
    result.close()


@breaks("S20")
def iterates_after_close(app: Any) -> None:
    result = app(environ_with(), start_response)
    iterator = iter(result)
    next(iterator)
    result.close()
    next(iterator, None)


@breaks("S21")
def empty_method(app: Any) -> None:
    serve(app, environ_with(REQUEST_METHOD=""))


@breaks("S21")
def method_with_a_space(app: Any) -> None:
    serve(app, environ_with(REQUEST_METHOD="GET /"))


@breaks("S22")
def script_name_is_a_slash(app: Any) -> None:
    serve(app, environ_with(SCRIPT_NAME="/"))


@breaks("S22")
def script_name_without_a_slash(app: Any) -> None:
    serve(app, environ_with(SCRIPT_NAME="shop"))


@breaks("S23")
def path_info_without_a_slash(app: Any) -> None:
    serve(app, environ_with(PATH_INFO="shop"))


@breaks("S24")
def decoded_query(app: Any) -> None:
    serve(app, environ_with(QUERY_STRING="q=two words"))


@breaks("S24")
def query_with_its_separator(app: Any) -> None:
    serve(app, environ_with(QUERY_STRING="?q=1"))


@breaks("S26")
def content_length_with_an_underscore(app: Any) -> None:
    serve(app, environ_with(CONTENT_LENGTH="1_0"))


@breaks("S26")
def content_length_in_words(app: Any) -> None:
    serve(app, environ_with(CONTENT_LENGTH="ten"))


@breaks("S27")
def content_type_twice(app: Any) -> None:
    serve(app, environ_with(HTTP_CONTENT_TYPE="text/plain"))


@breaks("S28")
def empty_server_name(app: Any) -> None:
    serve(app, environ_with(SERVER_NAME=""))


@breaks("S28")
def server_port_in_words(app: Any) -> None:
    serve(app, environ_with(SERVER_PORT="http"))


@breaks("S29")
def protocol_without_a_name(app: Any) -> None:
    serve(app, environ_with(SERVER_PROTOCOL="1.1"))


@breaks("S33")
def no_client_address(app: Any) -> None:
    serve(app, environ_with(REMOTE_ADDR=None))


@breaks("S34")
def https_without_the_variable(app: Any) -> None:
    serve(app, environ_with(wsgi__url_scheme="https"))


@breaks("S36")
def empty_remote_user(app: Any) -> None:
    serve(app, environ_with(REMOTE_USER=""))


@breaks("S37")
def port_as_a_number(app: Any) -> None:
    serve(app, environ_with(SERVER_PORT=8000))


@breaks("S37")
def user_is_none(app: Any) -> None:
    environ = environ_with()
    environ["REMOTE_USER"] = None
    serve(app, environ)


@breaks("S37")
def header_of_bytes(app: Any) -> None:
    serve(app, environ_with(HTTP_ACCEPT=b"*/*"))


@breaks("S38")
def version_in_a_list(app: Any) -> None:
    serve(app, environ_with(wsgi__version=[1, 0]))


@breaks("S38")
def version_one_point_one(app: Any) -> None:
    serve(app, environ_with(wsgi__version=(1, 1)))


@breaks("S39")
def scheme_of_bytes(app: Any) -> None:
    serve(app, environ_with(wsgi__url_scheme=b"http"))


@breaks("S39")
def scheme_of_another_kind(app: Any) -> None:
    serve(app, environ_with(wsgi__url_scheme="gopher"))


@breaks("S40")
def no_error_stream(app: Any) -> None:
    def quiet(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"hello"]

    lint = Lint(quiet)
    lint.recorder = app.recorder
    serve(lint, environ_with(wsgi__errors=None))


@breaks("S41")
def no_multithread(app: Any) -> None:
    serve(app, environ_with(wsgi__multithread=None))


@breaks("S42")
def no_multiprocess(app: Any) -> None:
    serve(app, environ_with(wsgi__multiprocess=None))


@breaks("S43")
def no_run_once(app: Any) -> None:
    serve(app, environ_with(wsgi__run_once=None))
