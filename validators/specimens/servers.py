"""Servers that break a rule of the call or of environ, seen by the lint. Deliberately wrong: do not imitate.

Each gets a lint to put around the app it serves.
"""

from __future__ import annotations

from typing import Any

from wsgikit.validators.specimens.model import breaks
from wsgikit.validators.specimens.serving import environ_with, plain, serve, start_response


@breaks("S03")
def keyword_arguments(lint: Any) -> None:
    result = lint(plain)(environ=environ_with(), start_response=start_response)
    list(result)


@breaks("S03")
def three_arguments(lint: Any) -> None:
    try:
        lint(plain)(environ_with(), start_response, None)
    except TypeError:
        pass


@breaks("S04")
def environ_of_a_subclass(lint: Any) -> None:
    class Environ(dict[str, Any]):
        pass

    serve(lint(plain), Environ(environ_with()))


@breaks("S06")
def no_server_protocol(lint: Any) -> None:
    serve(lint(plain), environ_with(SERVER_PROTOCOL=None))


@breaks("S06")
def no_request_method(lint: Any) -> None:
    serve(lint(plain), environ_with(REQUEST_METHOD=None))


@breaks("S06")
def no_url_scheme(lint: Any) -> None:
    serve(lint(plain), environ_with(wsgi__url_scheme=None))


@breaks("S08")
def start_response_returns_nothing(lint: Any) -> None:
    def start(status: Any, headers: Any, exc_info: Any = None) -> Any:
        return None

    serve(lint(plain), environ_with(), start)


@breaks("S13")
def never_closes(lint: Any) -> None:
    for _ in lint(plain)(environ_with(), start_response):
        pass


@breaks("S13")
def never_closes_and_goes_on(lint: Any) -> None:
    app = lint(plain)
    kept = []
    for _ in range(4):
        result = app(environ_with(), start_response)
        kept.append(result)
        list(result)


@breaks("S14")
def does_not_close_after_an_error(lint: Any) -> None:
    def failing(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"begun"
        raise ValueError("a bug")

    app = lint(failing)
    try:
        for _ in app(environ_with(), start_response):
            pass
    except ValueError:
        pass


@breaks("S16")
def closes_twice(lint: Any) -> None:
    result = lint(plain)(environ_with(), start_response)
    list(result)
    result.close()
    result.close()


@breaks("S19")
def looks_into_the_iterable(lint: Any) -> None:
    class Page(list[bytes]):
        title = "secret"

    def own(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Page([b"hello"])

    app = lint(own)
    result = app(environ_with(), start_response)
    if getattr(result, "title", None) == "secret":
        list(result)
    result.close()


@breaks("S20")
def iterates_after_close(lint: Any) -> None:
    result = lint(plain)(environ_with(), start_response)
    iterator = iter(result)
    next(iterator)
    result.close()
    next(iterator, None)


@breaks("S21")
def empty_method(lint: Any) -> None:
    serve(lint(plain), environ_with(REQUEST_METHOD=""))


@breaks("S21")
def method_with_a_space(lint: Any) -> None:
    serve(lint(plain), environ_with(REQUEST_METHOD="GET /"))


@breaks("S22")
def script_name_is_a_slash(lint: Any) -> None:
    serve(lint(plain), environ_with(SCRIPT_NAME="/"))


@breaks("S22")
def script_name_without_a_slash(lint: Any) -> None:
    serve(lint(plain), environ_with(SCRIPT_NAME="shop"))


@breaks("S23")
def path_info_without_a_slash(lint: Any) -> None:
    serve(lint(plain), environ_with(PATH_INFO="shop"))


@breaks("S24")
def decoded_query(lint: Any) -> None:
    serve(lint(plain), environ_with(QUERY_STRING="q=two words"))


@breaks("S24")
def query_with_its_separator(lint: Any) -> None:
    serve(lint(plain), environ_with(QUERY_STRING="?q=1"))


@breaks("S26")
def content_length_with_an_underscore(lint: Any) -> None:
    serve(lint(plain), environ_with(CONTENT_LENGTH="1_0"))


@breaks("S26")
def content_length_in_words(lint: Any) -> None:
    serve(lint(plain), environ_with(CONTENT_LENGTH="ten"))


@breaks("S27")
def content_type_twice(lint: Any) -> None:
    serve(lint(plain), environ_with(HTTP_CONTENT_TYPE="text/plain"))


@breaks("S28")
def empty_server_name(lint: Any) -> None:
    serve(lint(plain), environ_with(SERVER_NAME=""))


@breaks("S28")
def server_port_in_words(lint: Any) -> None:
    serve(lint(plain), environ_with(SERVER_PORT="http"))


@breaks("S29")
def protocol_without_a_name(lint: Any) -> None:
    serve(lint(plain), environ_with(SERVER_PROTOCOL="1.1"))


@breaks("S33")
def no_client_address(lint: Any) -> None:
    serve(lint(plain), environ_with(REMOTE_ADDR=None))


@breaks("S34")
def https_without_the_variable(lint: Any) -> None:
    serve(lint(plain), environ_with(wsgi__url_scheme="https"))


@breaks("S36")
def empty_remote_user(lint: Any) -> None:
    serve(lint(plain), environ_with(REMOTE_USER=""))


@breaks("S37")
def port_as_a_number(lint: Any) -> None:
    serve(lint(plain), environ_with(SERVER_PORT=8000))


@breaks("S37")
def user_is_none(lint: Any) -> None:
    environ = environ_with()
    environ["REMOTE_USER"] = None
    serve(lint(plain), environ)


@breaks("S37")
def header_of_bytes(lint: Any) -> None:
    serve(lint(plain), environ_with(HTTP_ACCEPT=b"*/*"))


@breaks("S38")
def version_in_a_list(lint: Any) -> None:
    serve(lint(plain), environ_with(wsgi__version=[1, 0]))


@breaks("S38")
def version_one_point_one(lint: Any) -> None:
    serve(lint(plain), environ_with(wsgi__version=(1, 1)))


@breaks("S39")
def scheme_of_bytes(lint: Any) -> None:
    serve(lint(plain), environ_with(wsgi__url_scheme=b"http"))


@breaks("S39")
def scheme_of_another_kind(lint: Any) -> None:
    serve(lint(plain), environ_with(wsgi__url_scheme="gopher"))


@breaks("S40")
def no_error_stream(lint: Any) -> None:
    def quiet(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    app = lint(quiet)
    serve(app, environ_with(wsgi__errors=None))


@breaks("S41")
def no_multithread(lint: Any) -> None:
    serve(lint(plain), environ_with(wsgi__multithread=None))


@breaks("S42")
def no_multiprocess(lint: Any) -> None:
    serve(lint(plain), environ_with(wsgi__multiprocess=None))


@breaks("S43")
def no_run_once(lint: Any) -> None:
    serve(lint(plain), environ_with(wsgi__run_once=None))
