"""`pkg.mod:app` to object: every kind of wrong name gets an error of its own."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsgikit import loader
from wsgikit.errors import LoadError

MODULES = {
    "sitepkg_x/__init__.py": "",
    "sitepkg_x/wsgi.py": """
        def application(environ, start_response): ...
        def make(name="plain", *, level=1):
            def built(environ, start_response): ...
            built.facts = (name, level)
            return built
        class Holder:
            app = staticmethod(application)
        class Page:
            def __init__(self, app=None, *, level=1): ...
            def __call__(self, environ, start_response): ...
        class Answer:
            def __init__(self, environ, start_response): ...
            def __iter__(self): return iter([b""])
        holder = Holder()
        number = 7
        async def asgi(scope, receive, send): ...
        class Asgi:
            async def __call__(self, scope, receive, send): ...
        asgi_object = Asgi()
        def broken(): raise KeyError("no secret")
        def leave(): raise SystemExit(4)
    """,
    "sitepkg_x/needs_other.py": "import surely_not_installed_x",
    "sitepkg_x/wrong.py": "1 / 0",
    "sitepkg_x/leaves.py": "import sys; sys.exit(3)",
    "sitepkg_x/typo.py": "def (:",
    "only_app_x.py": "app = lambda environ, start_response: []",
    "nothing_x.py": "",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        lines = text.split("\n")
        path.write_text("\n".join(line.removeprefix("        ") for line in lines))
    monkeypatch.setattr(sys, "path", list(sys.path))
    loader.search_first(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("sitepkg_x", "only_app_x", "nothing_x")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("sitepkg_x.wsgi:application", "application"),
        ("sitepkg_x.wsgi", "application"),
        ("only_app_x", "<lambda>"),
        ("sitepkg_x.wsgi:holder.app", "application"),
        ("sitepkg_x.wsgi:make()", "built"),
    ],
)
def test_every_form_of_a_name_loads(name: str, attribute: str) -> None:
    assert loader.load_app(name).__name__ == attribute


def test_a_factory_gets_its_literal_arguments() -> None:
    assert loader.load("sitepkg_x.wsgi:make('shop', level=-5)").facts == ("shop", -5)


def test_a_class_may_be_an_app_by_itself() -> None:
    assert loader.load_app("sitepkg_x.wsgi:Answer").__name__ == "Answer"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "names no module"),
        ("a-b:app", "names no module"),
        ("sitepkg_x.wsgi:", "is no name"),
        ("sitepkg_x.wsgi:make(", "is no name"),
        ("sitepkg_x.wsgi:1 + 1", "not a dotted name"),
        ("sitepkg_x.wsgi:make(open('/etc/passwd'))", "must be literals"),
        ("sitepkg_x.wsgi:make(**{'level': 1})", "must be literals"),
        ("folder/wsgi.py:app", "--chdir folder wsgi:app"),
        ("wsgi.py", "for that file: wsgi"),
        ("sitepkg_y:app", "no module 'sitepkg_y' in .*; did you mean 'sitepkg_x'"),
        ("sitepkg_x.wsgi.application", "no module 'application' in .*; did you mean 'sitepkg_x.wsgi:application'"),
        ("sitepkg_x.wsgi.nothing:app", "no module 'nothing' in 'sitepkg_x.wsgi', which is a module and not a package$"),
        ("sitepkg_x.wsgy:app", "no module 'wsgy' in package 'sitepkg_x'; did you mean 'wsgi'"),
        ("only_app_x.inner:app", "which is a module and not a package"),
        ("sitepkg_x.needs_other:app", "importing 'sitepkg_x.needs_other' failed: no module named 'surely_not_inst"),
        ("sitepkg_x.wrong:app", "failed: ZeroDivisionError: division by zero"),
        ("sitepkg_x.leaves:app", "failed: SystemExit: 3"),
        ("sitepkg_x.typo:app", "failed: SyntaxError"),
        ("sitepkg_x.wsgi:aplication", r"wsgi.py\) has no attribute 'aplication'; did you mean 'application'\?"),
        ("sitepkg_x.wsgi:holder.ap", "a Holder has no attribute 'ap'; did you mean 'app'"),
        ("nothing_x", "has neither 'application' nor 'app'"),
        ("sitepkg_x.wsgi:number", "is an int, and a WSGI application must be callable"),
        ("sitepkg_x.wsgi:number()", "cannot be called; leave the brackets out"),
        ("sitepkg_x.wsgi:broken()", "the factory 'sitepkg_x.wsgi:broken\\(\\)' failed: KeyError: 'no secret'"),
        ("sitepkg_x.wsgi:leave()", "failed: SystemExit: 4"),
        ("sitepkg_x.wsgi:broken", "is it a factory"),
        ("sitepkg_x.wsgi:Holder", r"a class whose objects are the apps\? Then write 'sitepkg_x.wsgi:Holder\(\)'"),
        ("sitepkg_x.wsgi:Page", r"a class whose objects are the apps\? Then write 'sitepkg_x.wsgi:Page\(\)'"),
        ("sitepkg_x.wsgi:asgi", "an ASGI application"),
        ("sitepkg_x.wsgi:asgi_object", "an ASGI application"),
    ],
)
def test_a_wrong_name_is_explained(name: str, text: str) -> None:
    with pytest.raises(LoadError, match=text):
        loader.load_app(name)


def test_what_the_app_raised_is_the_cause_and_a_wrong_name_has_none() -> None:
    with pytest.raises(LoadError) as inside:
        loader.load("sitepkg_x.wrong:app")
    assert isinstance(inside.value.__cause__, ZeroDivisionError)
    with pytest.raises(LoadError) as outside:
        loader.load("sitepkg_y:app")
    assert outside.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "functions"),
    [("sitepkg_x.wrong:app", ["<module>"]), ("sitepkg_x.wsgi:broken()", ["broken"]), ("sitepkg_x.typo:app", [])],
)
def test_the_traceback_begins_in_the_app(name: str, functions: list[str]) -> None:
    with pytest.raises(LoadError) as caught:
        loader.load(name)
    assert caught.value.__cause__ is not None
    trace = traceback.extract_tb(caught.value.__cause__.__traceback__)
    assert [frame.name for frame in trace] == functions


def test_the_folder_searched_first_wins(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "only_app_x.py").write_text("app = lambda environ, start_response: ['other']")
    loader.search_first(str(other))
    assert loader.load_app("only_app_x")({}, lambda *_: None) == ["other"]
    loader.search_first(str(tmp_path))
    assert sys.path[0] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1
