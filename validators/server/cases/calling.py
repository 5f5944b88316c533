"""How the app is called: as what, how often, with what, by how many threads and processes (S01-S05, S41-S43)."""

from __future__ import annotations

from wsgikit.errors import Disconnected
from wsgikit.validators.server.case import case
from wsgikit.validators.server.control import SeenCall
from wsgikit.validators.server.target import TargetError
from wsgikit.validators.server.trial import Site, Trial

KINDS = {
    "function_app": b"function",
    "ClassApp": b"class",
    "instance_app": b"instance",
    "method_app": b"method",
    "partial_app": b"partial",
}


def _kind(name: str, body: bytes) -> None:
    @case("S01", name=name.replace("_app", "").replace("App", "").lower(), alone=True)
    def run(trial: Trial) -> None:
        """Starts the server with another kind of callable as the app."""
        if trial.site.starter is None:
            trial.skip("needs a server that can be started with another app")
        try:
            with trial.site.starter(name) as address:
                other = Trial(Site(address=address, control=trial.site.control, tls=trial.site.tls, patience=5.0))
                try:
                    exchange = other.get("/hello")
                finally:
                    other.close()
        except TargetError as error:
            trial.fail(f"with {name} as the app the server does not serve: {error}")
        trial.check(exchange.body == body, f"with {name} as the app the client saw: {exchange.seen()}")


for _name, _body in KINDS.items():
    _kind(_name, _body)


@case("S02")
def one_call_each(trial: Trial) -> None:
    """Three plain requests, three calls."""
    for number in range(1, 4):
        trial.get("/hello")
        trial.check(len(trial.wait_calls(number)) == number, f"{number} requests, {len(trial.calls)} calls of the app")


@case("S02")
def one_call_after_an_error(trial: Trial) -> None:
    """A failing app is not called again for the same request."""
    for when in ("call", "started", "first"):
        before = len(trial.calls)
        exchange = trial.get(f"/raises?when={when}")
        trial.call(exchange)
        trial.control_settles()
        calls = len(trial.calls) - before
        trial.check(calls == 1, f"one request whose app raises ({when}), {calls} calls of the app")


@case("S02")
def one_call_when_pipelined(trial: Trial) -> None:
    """Three requests in one segment: one call for each that is answered, and one at most for each that is not."""
    raw = trial.request("/hello?n=1") + trial.request("/hello?n=2") + trial.request("/hello?n=3")
    client = trial.connect()
    client.send(raw)
    answers = 0
    while answers < 3 and trial.read(client).response is not None:
        answers += 1
    trial.control_settles()
    asked = [call.environ.get("QUERY_STRING") for call in trial.calls]
    trial.check(len(asked) == len(set(asked)), f"the app was called more than once for a request: {asked}")
    trial.check(len(asked) >= answers, f"{answers} answers, {len(asked)} calls of the app")


@case("S03")
def two_positional_arguments(trial: Trial) -> None:
    """The app takes anything, and reports what it got."""
    _, call = trial.good("/hello")
    facts = call.facts
    seen = f"{facts['args']} positional arguments, keywords {facts['keywords']}"
    trial.check(facts["args"] == 2 and not facts["keywords"], f"the app was called with {seen}")
    trial.check(facts["start_response"], "the second argument cannot be called")


@case("S04")
def environ_is_a_dict(trial: Trial) -> None:
    """The exact type counts."""
    _, call = trial.good("/hello")
    kind = call.facts["environ_type"]
    trial.check(kind == "builtins.dict", f"environ is of type {kind}")


@case("S05")
def poisoned_environ(trial: Trial) -> None:
    """The app empties environ and fills in rubbish; that response and the next request are as ever."""
    client = trial.connect()
    exchange = trial.get("/poison", client=client)
    first = trial.call(exchange)
    response = trial.need_complete(exchange)
    trial.check(response.body == b"ok", f"the response to the request was spoilt: body {response.body!r}")
    trial.check(trial.event(first, "closed"), "close() was not called after environ had been changed")
    again = trial.get("/hello", client=client) if response.persistent else trial.get("/hello")
    if again.response is None and response.persistent:
        again = trial.get("/hello")
    calls = trial.wait_calls(2)
    if len(calls) < 2:
        trial.fail(f"the next request did not reach the app; the client saw: {again.seen()}")
    leaked = [name for name in ("HTTP_POISON", "probe.poison") if name in calls[1].environ]
    trial.check(not leaked, f"the next request's environ still holds {leaked}")
    trial.check(calls[1].environ.get("REQUEST_METHOD") == "GET", "the next request's environ has the wrong method")
    trial.check(calls[1].environ.get("wsgi.url_scheme") in ("http", "https"), "wsgi.url_scheme stayed spoilt")


@case("S41", timing=True)
def multithread_is_true(trial: Trial) -> str:
    """Two requests at the same time: when both are inside the app in one process, the flag has to be true."""
    first, second = _two_at_once(trial)
    _flag(trial, first, "wsgi.multithread")
    if second is None or second.pid != first.pid:
        return "never two calls in one process"
    if second.facts["thread"] == first.facts["thread"]:
        return "two calls at once in one thread (greenlets): neither value is wrong"
    flag = first.environ["wsgi.multithread"]
    trial.check(_truth(flag), f"two threads of process {first.pid} were in the app at once; wsgi.multithread is {flag}")
    return "two threads in one process"


def _two_at_once(trial: Trial) -> tuple[SeenCall, SeenCall | None]:
    for number in (1, 2):
        try:
            trial.connect().send(trial.request("/park?gate=both"))
        except (OSError, Disconnected):
            break  # with one thread there may be nobody to shake hands with (TLS)
        trial.wait_calls(number, 1.0)
    calls = trial.calls
    trial.open("both")
    if not calls:
        trial.unclear("no request reached the app")
    return calls[0], calls[1] if len(calls) > 1 else None


@case("S42", timing=True)
def multiprocess_is_true(trial: Trial) -> str:
    """Requests answered by several processes in turn: then the flag has to be true."""
    pids = []
    for number in range(1, 13):
        with_gap = trial.connect()
        trial.exchange(trial.request("/hello", headers=[("Connection", "close")]), client=with_gap)
        trial.wait_calls(number, 1.0)
        with_gap.close()
    calls = trial.calls
    pids = [call.pid for call in calls]
    if not calls:
        trial.unclear("no request reached the app")
    _flag(trial, calls[0], "wsgi.multiprocess")
    # A process that comes back after another had its turn shows that both live; a mere respawn never does that.
    several = len(set(pids)) > 1 and any(
        pid in pids[place + 2 :] and pids[place + 1] != pid for place, pid in enumerate(pids)
    )
    flag = calls[0].environ["wsgi.multiprocess"]
    if several:
        trial.check(_truth(flag), f"processes {sorted(set(pids))} answered in turn; wsgi.multiprocess is {flag}")
        return f"{len(set(pids))} processes"
    return "only one process was seen"


@case("S43")
def run_once_is_false(trial: Trial) -> str:
    """One process that serves two requests cannot say run_once."""
    for number in (1, 2, 3, 4):
        trial.get("/hello")
        trial.wait_calls(number, 1.0)
    calls = trial.calls
    if not calls:
        trial.unclear("no request reached the app")
    _flag(trial, calls[0], "wsgi.run_once")
    pids = [call.pid for call in calls]
    again = next((call for call in calls if pids.count(call.pid) > 1), None)
    if again is None:
        return "no process served two requests"
    flag = again.environ["wsgi.run_once"]
    trial.check(not _truth(flag), f"process {again.pid} served several requests; wsgi.run_once is {flag}")
    return ""


def _flag(trial: Trial, call: SeenCall, name: str) -> None:
    trial.check(name in call.environ, f"{name} is not in environ")


def _truth(text: str) -> bool:
    """The truth of a value from its repr(): servers use True, 1 and False, 0."""
    return text not in ("False", "0", "None", "", "''", "0.0")
