"""`wsgikit check middleware` as a function: a factory in, a report out. Knows no command line and no process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.validators.report.model import Report
from wsgikit.validators.sandwich import judge_blocks, judge_both_sides, judge_closing, judge_environ, judge_heads
from wsgikit.validators.sandwich.bench import BASES, Bench, MiddlewareSettings, crashed


def check_middleware(
    factory: Callable[..., Any], target: str = "middleware", settings: MiddlewareSettings | None = None
) -> Report:
    """Put the middleware between a scripted app and a scripted server.

    `factory(app, **options)` makes it; `target` names it in the report, best as `pkg.mod:factory`.
    """
    return MiddlewareCheck(factory, target, settings or MiddlewareSettings()).run()


class MiddlewareCheck:
    """One check, with what it found so far."""

    def __init__(self, factory: Callable[..., Any], target: str, settings: MiddlewareSettings) -> None:
        self._bench = Bench(factory, target, settings)

    @property
    def busy(self) -> tuple[str, float] | None:
        """The run under way and when it began (time.monotonic())."""
        return self._bench.busy

    def announce_to(self, listener: Callable[[str], None]) -> None:
        """Tell somebody about each run before it is made."""
        self._bench.announce = listener

    def report(self, aborted: str = "") -> Report:
        """What is known so far."""
        return self._bench.report(aborted)

    def run(self) -> Report:
        """Every judge."""
        bench = self._bench
        _make_once(bench)
        plain = bench.run(BASES[0])
        judge_both_sides.judge(bench)
        if plain.raised is not None:
            return bench.report(f"the middleware raised {crashed(plain)} around a correct app")
        bench.find_volatile()
        for judge in (judge_blocks, judge_closing, judge_heads, judge_environ):
            judge.judge(bench)
        if bench.reached:
            return bench.report()
        return bench.report("the middleware never called the app; give --path, --method or --header that lead to it")


def _make_once(bench: Bench) -> None:
    try:
        made = bench.make(lambda environ, start_response: [])
    except TypeError as error:
        raise ConfigError(
            f"{bench.target}: cannot be called with an app: {error}; see --set; is it an app? Then: wsgikit check app"
        ) from error
    if not callable(made):
        raise ConfigError(f"{bench.target}: made {type(made).__name__}, which cannot be called")
