"""PEP 3333 once, for every wire.

Owns the environ, wsgi.input, start_response and write(), iterating and closing the body, file_wrapper, wsgi.errors, and
`wrap()`, on which middleware is built. It must not know sockets, threads or the wire's syntax beyond what
`wsgikit.wire` gives it: it writes through a `Transport`.
"""
