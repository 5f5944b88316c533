"""The proxies that are compared, as WSGI apps: each sends everything to BENCH_UPSTREAM (http://host:port)."""

from __future__ import annotations

import os

UPSTREAM = os.environ.get("BENCH_UPSTREAM", "")
HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"}


def legal(app):
    """WSGIProxy2 hands hop-by-hop fields of the upstream on, which PEP 3333 forbids and our server refuses."""

    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            kept = [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]
            return start_response(status, kept, exc_info)

        return app(environ, start)

    return wrapped


def prefixed(app):
    """werkzeug's ProxyMiddleware takes prefixes alone, and none of them may be the root."""

    def wrapped(environ, start_response):
        environ["PATH_INFO"] = "/p" + environ["PATH_INFO"]
        return app(environ, start_response)

    return wrapped


def __getattr__(name: str):
    """Only what is asked for is imported, so that each proxy's process has its own libraries alone."""
    if name == "forward":
        from wsgikit.middleware.forward import Forward

        return Forward(to=UPSTREAM)
    if name == "wsgiproxy":
        from wsgiproxy import HostProxy

        return legal(HostProxy(UPSTREAM, client="urllib3"))
    if name == "werkzeug":
        from werkzeug.middleware.http_proxy import ProxyMiddleware

        return prefixed(ProxyMiddleware(None, {"/p": {"target": UPSTREAM + "/", "host": None, "remove_prefix": True}}))
    raise AttributeError(name)
