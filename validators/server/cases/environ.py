"""What stands in environ (S06, S21-S29, S33-S40, S45, S46); headers are in a module of their own."""

from __future__ import annotations

import re

from wsgikit.validators.server.case import case
from wsgikit.validators.server.control import SeenCall
from wsgikit.validators.server.trial import Trial

REQUIRED = ("REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "wsgi.version", "wsgi.url_scheme",
            "wsgi.input", "wsgi.errors", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once")  # fmt: skip
# The meta-variables of RFC 3875 4.1
CGI = frozenset(
    [
        "AUTH_TYPE",
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "GATEWAY_INTERFACE",
        "PATH_INFO",
        "PATH_TRANSLATED",
        "QUERY_STRING",
        "REMOTE_ADDR",
        "REMOTE_HOST",
        "REMOTE_IDENT",
        "REMOTE_USER",
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "SERVER_SOFTWARE",
    ]
)
# What servers add in the same style; "CGI-defined variables" (PEP 3333) are those above.
CUSTOMARY = frozenset(
    [
        "DOCUMENT_ROOT",
        "DOCUMENT_URI",
        "HTTPS",
        "REMOTE_PORT",
        "REQUEST_SCHEME",
        "REQUEST_URI",
        "SCRIPT_FILENAME",
        "SERVER_ADDR",
        "SERVER_ADMIN",
        "SERVER_SIGNATURE",
    ]
)


def _text(call: SeenCall, name: str) -> str | None:
    return call.environ.get(name)


@case("S06")
def required_keys(trial: Trial) -> None:
    """The four CGI variables and the seven wsgi.* keys."""
    _, call = trial.good("/hello")
    missing = [name for name in REQUIRED if name not in call.environ]
    trial.check(not missing, f"environ lacks {', '.join(missing)}")


@case("S21")
def methods_verbatim(trial: Trial) -> str:
    """Known, unknown and lower-case methods; those a server refuses itself say nothing."""
    refused = []
    for number, method in enumerate(("GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "PURGE", "get"), 1):
        exchange = trial.exchange(trial.request(f"/hello?n={number}", method))
        call = next(
            (one for one in trial.wait_calls(number, 0.3) if one.environ.get("QUERY_STRING") == f"n={number}"), None
        )
        if call is None:
            refused.append(f"{method} ({exchange.seen()})")
            continue
        trial.check("REQUEST_METHOD" in call.environ, "REQUEST_METHOD is not in environ")
        seen = call.environ["REQUEST_METHOD"]
        # PEP 3333 demands that it is not empty; that case counts stands in RFC 9110 9.1, without a must.
        trial.check(seen == method, f"the client sent {method}, REQUEST_METHOD is {seen!r}", "should")
    if len(refused) > 5:
        trial.unclear(f"hardly any method reached the app: {', '.join(refused)}")
    return f"refused by the server: {', '.join(refused)}" if refused else ""


@case("S22")
def script_name(trial: Trial) -> None:
    """Absent, empty, or a path that begins with a slash and is more than that."""
    _, call = trial.good("/hello/more")
    name = call.environ.get("SCRIPT_NAME", "")
    trial.check(call.types.get("SCRIPT_NAME", "builtins.str") == "builtins.str", "SCRIPT_NAME is not a str")
    trial.check(not name or (name.startswith("/") and name != "/"), f"SCRIPT_NAME is {name!r}")
    whole = name + call.environ.get("PATH_INFO", "")
    trial.check(whole == "/hello/more", f"SCRIPT_NAME + PATH_INFO is {whole!r} for /hello/more")


PATHS = {
    "utf8": ("/hello/%E2%82%AC", "/hello/\xe2\x82\xac", ""),
    # "Treatment of non US-ASCII characters in the path is system defined" (RFC 3875 4.1.5); the PEP has no word on it
    "latin": ("/hello/%FF%80", "/hello/\xff\x80", "should"),
    "slash": ("/hello/a%2Fb", "/hello/a/b", "should"),
    "plus": ("/hello/a+b%2B", "/hello/a+b+", ""),
    "percent": ("/hello/100%25/%2541", "/hello/100%/%41", ""),
    "semicolon": ("/hello/a;v=1", "/hello/a;v=1", ""),
    "double-slash": ("/hello//b", "/hello//b", "advice"),
}


def _path(name: str) -> None:
    target, expected, level = PATHS[name]

    @case("S23", name=f"path-{name}")
    def run(trial: Trial) -> None:
        """One path, decoded once, one character a byte."""
        _, call = trial.good(target)
        path = call.environ.get("SCRIPT_NAME", "") + call.environ.get("PATH_INFO", "")
        trial.check(path == expected, f"for the target {target} PATH_INFO is {path!r}, not {expected!r}", level)


for _path_name in PATHS:
    _path(_path_name)


@case("S24")
def query_verbatim(trial: Trial) -> None:
    """Not decoded, nothing taken off, also when it is not what a form would send."""
    for number, query in enumerate(("a=%26+b%zz&=&&x", "a?b?c=/d", "%E2%82%AC", "q=a;b=%2F"), 1):
        exchange = trial.get(f"/hello?{query}")
        calls = trial.wait_calls(number, 0.3)
        if len(calls) < number:
            trial.unclear(f"?{query} did not reach the app; the client saw: {exchange.seen()}")
        seen = calls[-1].environ.get("QUERY_STRING")
        trial.check(seen == query, f"the client sent ?{query}, QUERY_STRING is {seen!r}")


@case("S24")
def query_absent_or_empty(trial: Trial) -> None:
    """Without a question mark there is no query."""
    _, call = trial.good("/hello")
    seen = call.environ.get("QUERY_STRING", "")
    trial.check(seen == "", f"QUERY_STRING is {seen!r} for a target without a question mark")


@case("S25")
def content_type(trial: Trial) -> None:
    """As the client sent it; nothing of the kind for a request without one."""
    value = 'application/x-probe; A="b;c d"'
    exchange = trial.exchange(trial.request("/echo", "POST", [("Content-Type", value)], b"abc"))
    seen = trial.call(exchange).environ.get("CONTENT_TYPE")
    trial.check(seen == value, f"the client sent Content-Type: {value}, CONTENT_TYPE is {seen!r}")


@case("S25")
def content_type_absent(trial: Trial) -> None:
    """A request without the header. RFC 3875 4.1.3 lets a server guess, for a body that has no type."""
    _, call = trial.good("/hello")
    seen = call.environ.get("CONTENT_TYPE", "")
    trial.check(seen == "", f"the client sent no Content-Type, CONTENT_TYPE is {seen!r}", "should")


@case("S26")
def content_length(trial: Trial) -> None:
    """As the client sent it."""
    exchange = trial.exchange(trial.request("/echo", "POST", body=b"x" * 12))
    seen = trial.call(exchange).environ.get("CONTENT_LENGTH")
    trial.check(seen == "12", f"the client sent Content-Length: 12, CONTENT_LENGTH is {seen!r}")


@case("S26")
def content_length_absent(trial: Trial) -> None:
    """Without a body: absent, empty or 0."""
    _, call = trial.good("/hello")
    seen = call.environ.get("CONTENT_LENGTH", "")
    trial.check(seen in ("", "0"), f"the client sent no Content-Length, CONTENT_LENGTH is {seen!r}")


@case("S27")
def no_doubles(trial: Trial) -> None:
    """The two headers have variables of their own."""
    exchange = trial.exchange(trial.request("/echo", "POST", [("Content-Type", "text/x")], b"abc"))
    call = trial.call(exchange)
    doubles = [name for name in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH") if name in call.environ]
    trial.check(not doubles, f"environ holds {', '.join(doubles)}")


@case("S28")
def server_name_and_port(trial: Trial) -> None:
    """Never empty, and the port a number; also for a 1.0 request without Host."""
    exchange = trial.get("/hello")
    old = trial.exchange(b"GET /hello HTTP/1.0\r\n\r\n")
    calls = trial.wait_calls(2, 0.5)
    if not calls:
        trial.unclear(f"no request reached the app; the client saw: {exchange.seen()} and {old.seen()}")
    for call in calls:
        version = call.environ.get("SERVER_PROTOCOL", "")
        for name in ("SERVER_NAME", "SERVER_PORT"):
            trial.check(call.environ.get(name), f"{name} is {call.environ.get(name)!r} ({version})")
            trial.check(call.types[name] == "builtins.str", f"{name} is a {call.types[name]} ({version})")
        port = call.environ["SERVER_PORT"]
        trial.check(re.fullmatch("[0-9]+", port), f"SERVER_PORT is {port!r} ({version})")


@case("S29")
def server_protocol(trial: Trial) -> None:
    """The client's version, for 1.0 and 1.1."""
    for number, version in enumerate(("1.1", "1.0"), 1):
        exchange = trial.exchange(trial.request("/hello", version=version))
        calls = trial.wait_calls(number, 0.3)
        if len(calls) < number:
            trial.unclear(f"the HTTP/{version} request did not reach the app; the client saw: {exchange.seen()}")
        trial.check("SERVER_PROTOCOL" in calls[-1].environ, "SERVER_PROTOCOL is not in environ")
        seen = calls[-1].environ["SERVER_PROTOCOL"]
        trial.check(seen == f"HTTP/{version}", f"the client sent HTTP/{version}, SERVER_PROTOCOL is {seen!r}")


@case("S33")
def other_variables(trial: Trial) -> None:
    """What a client over TCP makes applicable."""
    _, call = trial.good("/hello")
    wanted = ["SERVER_SOFTWARE", *([] if isinstance(trial.site.address, str) else ["REMOTE_ADDR"])]
    missing = [name for name in wanted if not call.environ.get(name)]
    trial.check(not missing, f"environ lacks {', '.join(missing)}")


@case("S34")
def tls_variables(trial: Trial) -> None:
    """Over TLS only."""
    if trial.site.tls is None:
        trial.skip("the target was not tried over TLS: give it {cert} and {key}, or an https URL")
    _, call = trial.good("/hello")
    value = call.environ.get("HTTPS", "")
    trial.check(value.lower() in ("on", "1"), f"HTTPS is {value!r} under TLS")
    variables = [name for name in call.environ if name.startswith("SSL_")]
    trial.check(variables, "no SSL_ variable under TLS")


@case("S36")
def nothing_empty(trial: Trial) -> None:
    """Variables that have nothing to say."""
    _, call = trial.good("/hello")
    names = ("REMOTE_USER", "REMOTE_IDENT", "REMOTE_HOST", "AUTH_TYPE", "HTTPS", "PATH_TRANSLATED")
    idle = [name for name in names if name in call.environ and call.environ[name] in ("", "None")]
    idle += [name for name, kind in call.types.items() if kind == "builtins.NoneType" and name.isupper()]
    idle = sorted(set(idle))
    trial.check(not idle, f"environ holds {', '.join(idle)} with nothing in it")


@case("S37")
def cgi_variables_are_text(trial: Trial) -> None:
    """The exact type of each CGI variable and each header."""
    exchange = trial.exchange(trial.request("/echo", "POST", [("Content-Type", "a/b"), ("X-One", "1")], b"abc"))
    call = trial.call(exchange)
    others = {name: kind for name, kind in call.types.items() if kind not in ("builtins.str", "builtins.NoneType")}
    wrong = {name for name in others if name in CGI or name.startswith("HTTP_")}
    looser = {name for name in others if name in CUSTOMARY or name.startswith("SSL_")}
    for names, level in ((wrong, ""), (looser, "should")):
        told = ", ".join(f"{name} is {others[name]}" for name in sorted(names))
        trial.check(not names, f"not of type str: {told}", level)


@case("S38")
def wsgi_version(trial: Trial) -> None:
    """The tuple (1, 0)."""
    _, call = trial.good("/hello")
    kind, value = call.types.get("wsgi.version"), call.environ.get("wsgi.version")
    trial.check(kind == "builtins.tuple" and value == "(1, 0)", f"wsgi.version is {value} of type {kind}")


@case("S39")
def url_scheme(trial: Trial) -> None:
    """http here, https over TLS; what a client writes into headers changes nothing, unless it is a trusted proxy.

    The checks come over loopback, which a server may trust by its own settings.
    """
    wanted = "https" if trial.site.tls is not None else "http"
    for headers in ([], [("X-Forwarded-Proto", "gopher"), ("X-Scheme", "gopher")]):
        exchange, _ = trial.good("/hello", headers)
        trial.raw, call = exchange.raw, trial.calls[-1]
        kind, value = call.types.get("wsgi.url_scheme"), call.environ.get("wsgi.url_scheme")
        trial.check(kind == "builtins.str", f"wsgi.url_scheme is of type {kind}")
        believed = f" (X-Forwarded-Proto from {call.environ.get('REMOTE_ADDR')} is believed)" if headers else ""
        told = f"wsgi.url_scheme is {value!r}, the client came by {wanted}{believed}"
        trial.check(value == wanted, told, "advice" if headers and value in ("http", "https") else "")


@case("S40")
def streams_are_there(trial: Trial) -> None:
    """Present, and not None."""
    _, call = trial.good("/hello")
    missing = [
        name for name in ("wsgi.input", "wsgi.errors")
        if call.types.get(name) in (None, "builtins.NoneType")
    ]  # fmt: skip
    trial.check(not missing, f"environ lacks {', '.join(missing)}")


@case("S45")
def own_names(trial: Trial) -> None:
    """What is neither CGI nor wsgi.* nor from the operating system, is lower case with a prefix."""
    _, call = trial.good("/hello")
    inherited = set(call.facts["own_environment"])
    odd = [
        name for name in call.environ
        if name not in inherited and not re.fullmatch(r"[A-Z][A-Z0-9_]*", name) and not name.startswith("HTTP_")
        and not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_]+)+", name)
    ]  # fmt: skip
    trial.check(not odd, f"variables of its own with other names: {', '.join(sorted(odd))}")


@case("S46")
def inherited_variables_are_text(trial: Trial) -> str:
    """Whether the operating system's variables are there, and then of what type."""
    _, call = trial.good("/hello")
    inherited = [name for name in call.facts["own_environment"] if name in call.environ and name not in CGI]
    wrong = [name for name in inherited if call.types[name] != "builtins.str"]
    trial.check(not wrong, f"from the operating system and not str: {', '.join(wrong)}")
    return f"{len(inherited)} variables of the operating system are in environ" if inherited else ""
