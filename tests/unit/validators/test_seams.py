"""Finding the seams of foreign stacks: wherever layers keep the next app, and put back as it was."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from wsgikit.validators.app.driver import ask
from wsgikit.validators.app.request import Request
from wsgikit.validators.app.seams import Opened, Seam


def app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [b"app"]


class Plain:
    def __init__(self, app: Any) -> None:
        self.wsgi_app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.wsgi_app(environ, start_response)


class Slotted:
    __slots__ = ("_app",)

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._app(environ, start_response)


@dataclass(frozen=True)
class Frozen:
    app: Any

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


class Dispatcher:
    def __init__(self, app: Any, mounts: dict[str, Any]) -> None:
        self.app = app
        self.mounts = mounts

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.mounts.get(environ["PATH_INFO"], self.app)(environ, start_response)


def closing_over(application: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        return application(environ, start_response)

    return middleware


def opened(stack: Any) -> tuple[Opened, list[str]]:
    """The stack with something at each seam that notes its name when it is called."""
    passed: list[str] = []

    def wrap(app: Any, seam: Seam) -> Any:
        def noted(environ: Any, start_response: Any) -> Any:
            passed.append(seam.name)
            return app(environ, start_response)

        return noted

    return Opened(stack, wrap), passed


def test_every_way_to_keep_the_next_app_is_followed_and_put_back() -> None:
    frozen, slotted = Frozen(app), None
    slotted = Slotted(frozen)
    closure = closing_over(slotted)
    plain = Plain(closure)
    view, passed = opened(plain)
    answer = ask(view.entry, Request())

    assert answer.body == b"app"
    assert passed == ["Plain", "closing_over.middleware", "Slotted", "Frozen", "app"]
    assert [seam.name for seam in view.seams] == passed
    assert [seam.outer.name if seam.outer else None for seam in view.seams] == [None, *passed[:-1]]

    view.close()
    passed.clear()
    assert ask(plain, Request()).body == b"app"
    assert passed == []
    assert (plain.wsgi_app, slotted._app, frozen.app) == (closure, frozen, app)


def test_branches_are_followed() -> None:
    stack = Dispatcher(app, {"/x": Plain(app)})
    view, passed = opened(stack)
    ask(view.entry, Request(target="/x"))

    assert passed == ["Dispatcher", "Plain", "app"]
    assert len(view.seams[0].inner) == 2
    view.close()


def test_a_partial_cannot_be_opened_and_that_is_said() -> None:
    def middleware(inner: Any, environ: Any, start_response: Any) -> Any:
        return inner(environ, start_response)

    view, passed = opened(Plain(functools.partial(middleware, app)))
    ask(view.entry, Request())

    assert passed == ["Plain", "partial"]
    assert view.unseen == ["what is below partial, which is taken for the app"]


def test_a_circle_ends() -> None:
    one = Plain(app)
    one.wsgi_app = one

    view, _ = opened(one)

    assert len(view.seams) == 2
    view.close()


def test_a_stack_that_builds_itself_is_taken_at_its_word() -> None:
    class Stack:
        layers = ("outer", "inner")

        def between(self, seam: Any) -> Any:
            return seam(Plain(seam(Plain(seam(Frozen(app), "app")), "inner")), "outer")

    view, passed = opened(Stack())
    ask(view.entry, Request())

    assert passed == ["outer", "inner", "app", "app.app"]
    assert [seam.outer.name if seam.outer else None for seam in view.seams] == [None, "outer", "inner", "app"]
