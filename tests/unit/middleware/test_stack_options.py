"""Middleware named in a file: entry points, module:factory, options, variables, and messages with a place."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from wsgi_gateway import drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware.stack import Stack, Use
from wsgikit.middleware.stack_options import from_tables


def app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(environ.get("options")).encode()]


class Layer:
    def __init__(
        self,
        app: Any,
        *,
        level: int = 6,
        ratio: float = 1.0,
        on: bool = False,
        names: Sequence[str] = (),  # type: ignore[name-defined]  # noqa: F821
        title: str | None = None,
        anything: Any = None,
    ) -> None:
        if level > 9:
            raise ConfigError(f"level = {level}: 1 to 9")
        self.app = app
        self.options = (level, ratio, on, names, title, anything)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app({**environ, "options": self.options}, start_response)


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = ModuleType("shop_layers")
    shop.Layer = Layer  # type: ignore[attr-defined]
    shop.number = 5  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop_layers", shop)


def table(**options: Any) -> dict[str, Any]:
    return {"middleware": "shop_layers:Layer", **options}


def test_tables_become_layers_with_their_options() -> None:
    uses = from_tables([table(level=5, names=["a"], title="x", anything={"y": 1})])
    assert drive(Stack(app, uses)).body == b"(5, 1.0, False, ['a'], 'x', {'y': 1})"
    assert drive(Stack(app, from_tables([]))).body == b"None"


def test_a_table_may_say_when() -> None:
    stack = Stack(app, from_tables([table(when={"path": ["/api", "/feed"], "method": "POST"})]))
    assert drive(stack, make_environ("POST", "/feed/x")).body != b"None"
    assert drive(stack, make_environ("GET", "/feed")).body == b"None"


def test_variables_come_from_the_environment_at_any_depth() -> None:
    uses = from_tables(
        [table(title="${NAME}-$${NAME}", anything=[{"x": "${NAME}"}])], environ={"NAME": "$v", "OTHER": ""}
    )
    assert uses[0].options == {"title": "$v-${NAME}", "anything": [{"x": "$v"}]}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([{"level": 3}], "wsgikit.toml: use[1]: needs 'middleware'"),
        ([table(), {"middleware": "compres"}], "use[2]: unknown middleware 'compres'; did you mean 'compress'?"),
        ([{"middleware": "zzzz"}], "unknown middleware 'zzzz'; known are"),
        ([{"middleware": "no_such_module_x:Layer"}], "wsgikit.toml: use[1]: "),
        ([{"middleware": "shop_layers:Leyer"}], "Leyer"),
        ([{"middleware": "shop_layers:number"}], "it cannot be called"),
        ([table(levl=1)], "use[1]: shop_layers:Layer has no option 'levl'; did you mean 'level'?"),
        ([table(level="5")], "level = '5': a whole number is needed"),
        ([table(level=True)], "level = True: a whole number is needed"),
        ([table(ratio="x")], "ratio = 'x': a number is needed"),
        ([table(on="yes")], "on = 'yes': true or false is needed"),
        ([table(names="a")], "names = 'a': a list of texts is needed"),
        ([table(title=5)], "title = 5: a text is needed"),
        ([table(title="${MISSING}")], "the environment has no variable 'MISSING'"),
        ([table(when="/api")], "when = '/api': a table"),
        ([table(when={"pth": "/api"})], "when.pth: allowed are path, method, host"),
        ([table(when={})], "when is empty"),
        ([{"middleware": "egg:NoSuchProject#x"}], "no project 'NoSuchProject' is installed"),
    ],
)
def test_mistakes_name_the_place(tables: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_tables(tables, place="wsgikit.toml: ", environ={})
    assert str(caught.value).startswith("wsgikit.toml: use[")
    assert message in str(caught.value)


def test_an_option_that_the_middleware_refuses_names_the_place_too() -> None:
    with pytest.raises(ConfigError, match=r"^here: use\[1\]: Layer: level = 12: 1 to 9"):
        Stack(app, from_tables([table(level=12)], place="here: "))


def test_a_name_works_in_python_too() -> None:
    assert drive(Stack(app, [Use("shop_layers:Layer", level=2)])).body.startswith(b"(2,")
    with pytest.raises(ConfigError, match="did you mean 'level'"):
        Use("shop_layers:Layer", levle=2)
