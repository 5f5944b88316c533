"""A bare WSGI app: no library, only PEP 3333. It shows the environ that the server gave it."""


def app(environ, start_response):
    rows = (f"{name} = {environ[name]!r}" for name in sorted(environ))
    body = ("\n".join(rows) + "\n").encode("utf-8", "backslashreplace")
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
