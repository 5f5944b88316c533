"""Apps that break a rule of status, headers or start_response, one rule each. Deliberately wrong: do not imitate."""

from __future__ import annotations

import sys
from typing import Any

from wsgikit.validators.specimens.model import breaks

PLAIN = [("Content-Type", "text/plain")]


@breaks("A04")
def keywords_for_start_response(environ: Any, start_response: Any) -> Any:
    start_response(status="200 OK", headers=list(PLAIN))
    return [b""]


@breaks("A05")
def status_alone(environ: Any, start_response: Any) -> Any:
    start_response("200 OK")
    return [b""]


@breaks("A06")
def status_of_bytes(environ: Any, start_response: Any) -> Any:
    start_response(b"200 OK", list(PLAIN))
    return [b""]


@breaks("A06")
def status_of_a_subclass(environ: Any, start_response: Any) -> Any:
    class Status(str):
        pass

    start_response(Status("200 OK"), list(PLAIN))
    return [b""]


@breaks("A06")
def status_number(environ: Any, start_response: Any) -> Any:
    start_response(200, list(PLAIN))
    return [b""]


@breaks("A07")
def status_without_a_reason(environ: Any, start_response: Any) -> Any:
    start_response("200", list(PLAIN))
    return [b""]


@breaks("A07")
def empty_status(environ: Any, start_response: Any) -> Any:
    start_response("", list(PLAIN))
    return [b""]


@breaks("A07")
def two_spaces_in_the_status(environ: Any, start_response: Any) -> Any:
    start_response("200  OK", list(PLAIN))
    return [b""]


@breaks("A07")
def space_at_the_end_of_the_status(environ: Any, start_response: Any) -> Any:
    start_response("200 OK ", list(PLAIN))
    return [b""]


@breaks("A07")
def four_digits(environ: Any, start_response: Any) -> Any:
    start_response("2000 OK", list(PLAIN))
    return [b""]


@breaks("A10", implied={"A07": "Arabic digits are no ASCII digits either"})
def arabic_digits(environ: Any, start_response: Any) -> Any:
    start_response("\u0662\u0660\u0660 OK", list(PLAIN))
    return [b""]


@breaks("A08")
def nul_in_the_status(environ: Any, start_response: Any) -> Any:
    start_response("200 O\x00K", list(PLAIN))
    return [b""]


@breaks("A08")
def header_in_the_status(environ: Any, start_response: Any) -> Any:
    start_response("200 OK\r\nX-Injected: yes", list(PLAIN))
    return [b""]


@breaks("A09")
def line_end_after_the_status(environ: Any, start_response: Any) -> Any:
    start_response("200 OK\r\n", list(PLAIN))
    return [b""]


@breaks("A10")
def snowman_in_the_status(environ: Any, start_response: Any) -> Any:
    start_response("200 \u2603", list(PLAIN))
    return [b""]


@breaks("A11")
def headers_in_a_tuple(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", tuple(PLAIN))
    return [b""]


@breaks("A11")
def headers_in_an_iterator(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", iter(PLAIN))
    return [b""]


@breaks("A11")
def headers_in_a_subclass_of_list(environ: Any, start_response: Any) -> Any:
    class Headers(list[Any]):
        pass

    start_response("200 OK", Headers(PLAIN))
    return [b""]


@breaks("A12")
def header_as_a_list(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [["Content-Type", "text/plain"]])
    return [b""]


@breaks("A12")
def header_of_three_parts(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain", "utf-8")])
    return [b""]


@breaks("A13")
def header_name_of_bytes(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, (b"Content-Type", "text/plain")])
    return [b""]


@breaks("A13")
def header_value_of_an_int(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("X-Count", 5)])
    return [b""]


@breaks("A14")
def snowman_in_a_header(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("X-Weather", "\u2603")])
    return [b""]


@breaks("A15")
def colon_after_the_header_name(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Content-Type:", "text/plain")])
    return [b""]


@breaks("A15")
def space_in_a_header_name(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Content Type", "text/plain")])
    return [b""]


@breaks("A15")
def empty_header_name(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("", "text/plain")])
    return [b""]


@breaks("A16")
def line_end_in_a_header_value(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Location", "/x\r\nSet-Cookie: session=stolen")])
    return [b""]


@breaks("A16")
def line_feed_after_a_header_value(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("X-Value", "x\n")])
    return [b""]


@breaks("A16")
def delete_in_a_header_value(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("X-Value", "x\x7f")])
    return [b""]


@breaks("A17")
def broken_encoded_word(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("X-Title", "=?utf-8?B?4piD4?=")])
    return [b""]


@breaks("A18")
def upgrade(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Upgrade", "websocket")])
    return [b""]


@breaks("A18")
def trailer(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Trailer", "Digest")])
    return [b""]


@breaks("A19")
def proxy_connection(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Proxy-Connection", "close")])
    return [b""]


@breaks("A19", implied={"A18": "Connection is hop-by-hop and decides on persistence"})
def connection_close(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Connection", "close")])
    return [b""]


@breaks("A20", implied={"A18": "Transfer-Encoding is hop-by-hop too"})
def declared_transfer_coding(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Transfer-Encoding", "chunked")])
    return [b"hello"]


@breaks("A20")
def chunk_framing(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    return [b"5\r\nhello\r\n", b"0\r\n\r\n"]


@breaks("A21")
def switching_protocols(environ: Any, start_response: Any) -> Any:
    start_response("101 Switching Protocols", [])
    return [b""]


@breaks("A33")
def second_start_response(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    start_response("404 Not Found", list(PLAIN))
    return [b""]


@breaks("A34")
def exc_info_of_two(environ: Any, start_response: Any) -> Any:
    try:
        raise ValueError("a bug")
    except ValueError:
        start_response("500 Oops", list(PLAIN), sys.exc_info()[:2])
    return [b"error"]


@breaks("A34")
def exc_info_of_the_wrong_class(environ: Any, start_response: Any) -> Any:
    try:
        raise ValueError("a bug")
    except ValueError as error:
        start_response("500 Oops", list(PLAIN), (KeyError, error, error.__traceback__))
    return [b"error"]


@breaks("A34")
def exc_info_true(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", list(PLAIN))
    start_response("500 Oops", list(PLAIN), (True,))
    return [b"error"]


@breaks("A35")
def exc_info_without_an_error(environ: Any, start_response: Any) -> Any:
    start_response("500 Oops", list(PLAIN), sys.exc_info())
    return [b"error"]


@breaks("A37")
def error_page_without_exc_info(environ: Any, start_response: Any) -> Any:
    try:
        raise ValueError("a bug")
    except ValueError:
        start_response("500 Oops", list(PLAIN))
    return [b"error"]


@breaks("A49")
def content_length_with_a_sign(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Content-Length", "+5")])
    return [b"hello"]


@breaks("A49")
def two_content_lengths(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Content-Length", "5"), ("content-length", "6")])
    return [b"hello"]


@breaks("A50")
def content_length_with_no_content(environ: Any, start_response: Any) -> Any:
    start_response("204 No Content", [("Content-Length", "0")])
    return [b""]


@breaks("A51")
def status_header(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*PLAIN, ("Status", "404 Not Found")])
    return [b""]
