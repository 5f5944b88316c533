"""Start one server that has no command line of its own: `python launch.py SERVER MODULE:APP PORT THREADS`.

Only what is imported by the chosen function is loaded, so that start-up and memory are that server's own.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

from servers import BACKLOG, KEEP_ALIVE, LIMIT

HOST = "127.0.0.1"


def cheroot(app: Any, port: int, threads: int) -> None:
    from cheroot.wsgi import Server

    server = Server((HOST, port), app, numthreads=threads, max=threads, request_queue_size=BACKLOG, timeout=KEEP_ALIVE)
    server.keep_alive_conn_limit = LIMIT  # 10 by default
    server.nodelay = True
    server.start()


def gevent(app: Any, port: int, threads: int) -> None:
    from gevent.pywsgi import WSGIServer

    server = WSGIServer((HOST, port), app, log=None, backlog=BACKLOG)
    server.init_socket()
    without_nagle(server.socket)
    server.serve_forever()


def bjoern(app: Any, port: int, threads: int) -> None:
    import bjoern as library

    library.listen(app, HOST, port)
    without_nagle(library._default_instance[0])  # it has no option for that
    library.run()


def fastwsgi(app: Any, port: int, threads: int) -> None:
    import warnings

    warnings.simplefilter("ignore")  # it imports pkg_resources
    import fastwsgi as library

    library.server.backlog = BACKLOG
    library.server.tcp_nodelay = 1
    library.run(app, HOST, port, loglevel=library.LL_ERROR)


def wsgiref(app: Any, port: int, threads: int) -> None:
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    class Patient(WSGIServer):
        request_queue_size = BACKLOG  # 5 by default: connections would wait for a SYN to be sent again

    server = make_server(HOST, port, app, server_class=Patient, handler_class=Quiet)
    without_nagle(server.socket)
    server.serve_forever()


def werkzeug(app: Any, port: int, threads: int) -> None:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *args: Any) -> None:
            pass

    server = make_server(HOST, port, app, threaded=threads > 1, request_handler=Quiet)
    without_nagle(server.socket)
    server.serve_forever()


def tornado(app: Any, port: int, threads: int) -> None:
    import asyncio
    import logging
    from concurrent.futures import ThreadPoolExecutor

    from tornado.httpserver import HTTPServer
    from tornado.wsgi import WSGIContainer

    logging.getLogger("tornado.access").disabled = True

    async def main() -> None:
        server = HTTPServer(WSGIContainer(app, ThreadPoolExecutor(threads)))
        server.listen(port, HOST, backlog=BACKLOG)
        await asyncio.Event().wait()

    asyncio.run(main())


def flup_fastcgi(app: Any, port: int, threads: int) -> None:
    from flup.server.fcgi import WSGIServer

    flup(WSGIServer, app, port, threads)


def flup_scgi(app: Any, port: int, threads: int) -> None:
    import logging

    from flup.server.scgi import WSGIServer

    flup(WSGIServer, app, port, threads, loggingLevel=logging.ERROR)


def flup(kind: Any, app: Any, port: int, threads: int, **options: Any) -> None:
    class Server(kind):  # type: ignore[misc]
        def _setupSocket(self) -> Any:  # noqa: N802 - its name
            listener = super()._setupSocket()
            without_nagle(listener)
            return listener

    # a thread for each connection, which nginx keeps; the pool does not shrink, so that none is started under load
    Server(app, bindAddress=(HOST, port), minSpare=threads, maxSpare=LIMIT, maxThreads=LIMIT, **options).run()


def without_nagle(listener: socket.socket) -> None:
    """Linux hands TCP_NODELAY on to accepted connections; without it a reply in two writes waits 40 ms for an ACK."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


LAUNCHERS: dict[str, Callable[[Any, int, int], None]] = {
    function.__name__: function
    for function in (cheroot, gevent, bjoern, fastwsgi, wsgiref, werkzeug, tornado, flup_fastcgi, flup_scgi)
}


def main() -> None:
    name, spec, port, threads = sys.argv[1:5]
    if name == "gevent":
        from gevent import monkey

        monkey.patch_all()  # before the app is imported, as its documentation asks
    module, _, attribute = spec.partition(":")
    app = getattr(__import__(module), attribute)
    LAUNCHERS[name](app, int(port), int(threads))


if __name__ == "__main__":
    main()
