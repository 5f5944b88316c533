"""What HTTP/1.1 demands of bodies, connections and responses, H29-H64. Data only; columns as in `Rule`."""

from __future__ import annotations

from wsgikit.validators.rules.model import Rule

# fmt: off
HTTP_BODY = (
    Rule("H29", "must", "RFC 9112 6.3; RFC 9112 8", "raw", "http",
         "A body that ends short of Content-Length is incomplete: the app gets an error or too little, the "
         "connection closes."),
    Rule("H30", "derived", "RFC 9110 9.3.1", "raw", "http",
         "Framing does not depend on the method: GET, HEAD and OPTIONS with a body leave the next request intact."),
    Rule("H31", "must", "RFC 9112 6.1", "raw", "http",
         "Content-Length together with Transfer-Encoding is refused, or read as chunked and closed after; nothing "
         "behind it is taken for a request."),
    Rule("H32", "must", "RFC 9112 6.1", "raw", "http",
         "Transfer-Encoding in a 1.0 request is faulty framing: the connection closes after it. We refuse it."),
    Rule("H33", "should", "RFC 9112 6.1; RFC 9112 6.3", "raw", "http",
         "An unknown or empty transfer coding gets 501 or 400, and a close."),
    Rule("H34", "must", "RFC 9112 6.3", "raw", "http",
         "A transfer coding list that does not end in chunked gets 400 and a close."),
    Rule("H35", "should", "RFC 9112 6.1; RFC 9112 7.1", "raw", "http",
         "Another coding before chunked gets 501, chunked twice 400, chunked with a parameter an error."),
    Rule("H36", "must", "RFC 9112 7; RFC 9110 5.6.1.2", "raw", "http",
         "Chunked in capitals, with spaces or with empty list elements is chunked or an error, never a missing "
         "body."),
    Rule("H37", "derived", "RFC 9110 5.5", "raw", "http",
         "Control and non-ASCII bytes around the word chunked get 400 and a close.",
         "What is against the grammar alone SHOULD get a 400 (RFC 9112 2.2).", "should"),
    Rule("H38", "derived", "RFC 9112 7.1", "raw", "http",
         "Chunk sizes in small and capital hex digits and with leading zeros are accepted."),
    Rule("H39", "derived", "RFC 9112 7.1", "raw", "http",
         "A chunk size with a prefix, a sign, an underscore, a space, no digit or a wrong one gets 400, and nothing"
         " behind it is read as a request.",
         "What is against the grammar alone SHOULD get a 400 (RFC 9112 2.2).", "should"),
    Rule("H40", "must", "RFC 9112 7.1", "raw", "http",
         "A chunk size of seventeen digits overflows nothing: 400 or 413."),
    Rule("H41", "must", "RFC 9112 7.1.1", "raw", "http",
         "Chunk extensions are skipped; very long ones meet a limit and a 4xx."),
    Rule("H42", "derived", "RFC 9112 7.1.1", "raw", "http",
         "Broken chunk extensions, and those with NUL, CR or LF inside, get 400 and a close.",
         "What is against the grammar alone SHOULD get a 400 (RFC 9112 2.2).", "should"),
    Rule("H43", "derived", "RFC 9112 7.1", "raw", "http",
         "Chunk data longer or shorter than its size, or without its line end, gets 400 and a close.",
         "What is against the grammar alone SHOULD get a 400 (RFC 9112 2.2).", "should"),
    Rule("H44", "derived", "RFC 9112 7.1", "raw", "http",
         "Lines of the chunked coding end in CR LF only; a bare line feed gets 400 and a close.",
         "", "advice"),
    Rule("H45", "derived", "RFC 9112 8", "raw", "http",
         "A chunked body that ends before its last chunk or final line end is incomplete, and the connection "
         "closes.",
         "The must about incomplete requests is for Content-Length (RFC 9112 6.3).", "should"),
    Rule("H46", "must not", "RFC 9112 7.1.2; RFC 9110 6.5.1", "raw", "http",
         "Trailers such as Content-Length, Host or Authorization are not merged into the head and make no HTTP_ "
         "variable."),
    Rule("H47", "derived", "RFC 9112 7.1", "raw", "http",
         "A valid chunked body reaches the app byte for byte, wherever the network splits it."),
    Rule("H48", "derived", "RFC 9112 9.3", "raw", "http",
         "Two requests go over one 1.1 connection."),
    Rule("H49", "must", "RFC 9112 9.6", "raw", "http",
         "After Connection: close, in any case and in a list, the connection closes and a pipelined request is not "
         "run."),
    Rule("H50", "derived", "RFC 9112 9.3", "raw", "http",
         "A 1.0 connection closes, or stays open when the client asked, the response is delimited and says "
         "keep-alive."),
    Rule("H51", "derived", "RFC 9112 9.3.2", "raw", "http",
         "Pipelined requests are answered in order; behind the valid ones an invalid one gets 400 and a close."),
    Rule("H52", "must", "RFC 9112 9.3", "raw", "http",
         "A body that the app did not read is drained, or the connection closes; it never becomes the next request."),
    Rule("H53", "should", "RFC 9112 9.6", "raw", "http",
         "After an early 4xx the server lingers, so that a client that is still sending can read it."),
    Rule("H54", "must", "RFC 9110 10.1.1", "raw", "http",
         "To Expect: 100-continue without a body the server sends 100 or a final status at once, and does not wait."),
    Rule("H55", "must", "RFC 9110 10.1.1", "raw", "http",
         "Expect from a 1.0 client is ignored; where the body is there already, or there is none, 100 is optional."),
    Rule("H56", "may", "RFC 9110 10.1.1", "raw", "http",
         "An unknown expectation may get 417."),
    Rule("H57", "must", "RFC 9110 7.8", "raw", "http",
         "An unknown Upgrade gets no 101; in a 1.0 request it is ignored."),
    Rule("H58", "derived", "RFC 9112 2.2", "raw", "http",
         "The server waits for the rest of a head that arrives bit by bit, and answers nothing before its end or a "
         "timeout."),
    Rule("H59", "derived", "RFC 9112 9.6", "raw", "http",
         "A client that shuts down its sending side after the request still gets its answer.",
         "Good manners; no RFC demands it.", "should"),
    Rule("H60", "must not", "RFC 9110 8.6; RFC 9110 9.3.2; RFC 9112 6.1", "raw", "http",
         "HEAD, 204, 205 and 304 carry no content, and 1xx and 204 no Content-Length or Transfer-Encoding, whatever"
         " the app says."),
    Rule("H61", "must", "RFC 9110 6.6.1", "raw", "http",
         "Every 2xx, 3xx and 4xx has a Date."),
    Rule("H62", "must not", "RFC 9112 6.1; RFC 9112 6.2", "raw", "http",
         "A 1.0 client gets no Transfer-Encoding, and nobody gets it together with Content-Length."),
    Rule("H63", "must", "RFC 9112 4", "raw", "http",
         "A status with an empty reason keeps the space behind the code."),
    Rule("H64", "must", "RFC 9110 15.5.6", "raw", "http",
         "A 405 that the server itself makes has an Allow field."),
)
