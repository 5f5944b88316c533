"""From text to object: `pkg.mod:app`, `pkg.mod:create(debug=True)`, `pkg.mod:site.app`, `pkg.mod`.

Owns the grammar of such names and the errors about them. It must not know what is loaded for whom: apps, middleware,
hooks and converters all come through here. Nothing is cached; Python's own module table does that.

    name     = module [ ":" target ]
    target   = identifier *( "." identifier ) [ "(" literal arguments ")" ]

Without a target the module's `application` is taken, then its `app`.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError, LoadError

if TYPE_CHECKING:
    import ast

# ast, difflib and pkgutil are imported where they are used: a plain name without a mistake needs none of them, and each
# worker process would carry them
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_COROUTINE, _VARARGS = 0x80, 0x04  # inspect.CO_COROUTINE, inspect.CO_VARARGS
_FORM = "write it as package.module:name, or package.module:factory()"
USUAL_NAMES = ("application", "app")


class Call:
    """The arguments of a factory; literals only, so that a name in a file cannot run code of its own."""

    __slots__ = ("args", "options")

    def __init__(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.args = args
        self.options = options


class Spec:
    """A parsed name: `module`, the dotted way to the object in it (may be empty), and the call, if one is written."""

    __slots__ = ("call", "module", "way")

    def __init__(self, module: str, way: tuple[str, ...], call: Call | None) -> None:
        self.module = module
        self.way = way
        self.call = call


def load(name: str) -> Any:
    """Return the object that `name` names; call it first where the name is written as a call.

    LoadError says which of these it was: the text has no such form; there is no such module; the module raised while
    it was imported, or the factory while it was called (`__cause__` is that exception); it has no such attribute.
    """
    spec = parse(name)
    module = _import(spec.module)
    found = _follow(module, spec, name) if spec.way else _usual(module, name)
    return found if spec.call is None else _call(found, spec.call, name)


def load_app(name: str) -> Callable[..., Any]:
    """`load()`, and LoadError unless the result can be called as a WSGI application."""
    found: Callable[..., Any] = load(name)
    if not callable(found):
        raise LoadError(f"{name!r} is {_article(type(found).__name__)}, and a WSGI application must be callable")
    if _flags(found) & _COROUTINE or _flags(type(found).__call__) & _COROUTINE:
        raise LoadError(f"{name!r} is a coroutine function: an ASGI application, not a WSGI one")
    if _wants_no_arguments(found):
        what = "a class whose objects are the apps" if isinstance(found, type) else "a factory"
        raise LoadError(f"{name!r} takes no environ and start_response; is it {what}? Then write '{name}()'")
    return found


def search_first(folder: str) -> None:
    """Look for modules in `folder` before anywhere else, as `python -m` does with the working directory."""
    folder = os.path.abspath(folder)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)


def parse(name: str) -> Spec:
    """Take a name apart. LoadError where it has not the form in the module's docstring."""
    module, colon, target = name.partition(":")
    if not _DOTTED.fullmatch(module) or module.endswith(".py"):
        raise LoadError(f"{name!r} names no module; {_FORM}{_path_hint(name)}")
    if not colon:
        return Spec(module, (), None)
    if _DOTTED.fullmatch(target):
        return Spec(module, tuple(target.split(".")), None)
    return _parse_call(module, target, name)


def _parse_call(module: str, target: str, name: str) -> Spec:
    import ast

    try:
        tree = ast.parse(target, mode="eval").body
    except (SyntaxError, ValueError):
        raise LoadError(f"{target!r} in {name!r} is no name; {_FORM}") from None
    factory = ast.unparse(tree.func) if isinstance(tree, ast.Call) else ""
    if not isinstance(tree, ast.Call) or not _DOTTED.fullmatch(factory):
        raise LoadError(f"{name!r} is not a dotted name; {_FORM}")
    return Spec(module, tuple(factory.split(".")), _arguments(tree, name))


def require(library: str) -> None:
    """ConfigError unless a library is there, for who imports it no sooner than a request needs it."""
    from importlib.util import find_spec

    if find_spec(library) is None:
        raise ConfigError(f"a library is missing: pip install {library}")


def nearest(word: str, names: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the name nearest to `word`, or nothing when none is near."""
    import difflib

    near = difflib.get_close_matches(word, list(names), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def _arguments(tree: ast.Call, name: str) -> Call:
    from ast import literal_eval

    try:
        args = tuple(literal_eval(arg) for arg in tree.args)
        options = {word.arg: literal_eval(word.value) for word in tree.keywords if word.arg is not None}
        if len(options) != len(tree.keywords):
            raise ValueError("**")
    except ValueError:
        raise LoadError(f"the arguments in {name!r} must be literals: numbers, strings, True, lists, ...") from None
    return Call(args, options)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(missing + "."):
            raise LoadError(_no_module(name, missing)) from None
        raise LoadError(f"importing {name!r} failed: no module named {missing!r}") from _bare(error)
    # a module that calls sys.exit() while it is imported must not end the server without a word
    except (Exception, SystemExit) as error:
        raise LoadError(f"importing {name!r} failed: {_one_line(error)}") from _bare(error)


def _no_module(name: str, missing: str) -> str:
    import pkgutil

    parent, _, last = missing.rpartition(".")
    if parent:
        places = list(getattr(sys.modules.get(parent), "__path__", ()))
        where = f"in package {parent!r}" if places else f"in {parent!r}, which is a module and not a package"
    else:
        places = sys.path[:1]
        where = f"in {places[0] or os.getcwd()!r} nor anywhere else on the path" if places else "on the path"
    whole = "" if missing == name else f" (for {name!r})"
    if parent and hasattr(sys.modules.get(parent), last):
        return f"no module {last!r}{whole} {where}; did you mean '{parent}:{last}'?"
    modules = () if parent and not places else pkgutil.iter_modules(places or None)
    near = nearest(last, (found.name for found in modules))
    return f"no module {last!r}{whole} {where}{near}"


def _usual(module: ModuleType, name: str) -> Any:
    for usual in USUAL_NAMES:
        if hasattr(module, usual):
            return getattr(module, usual)
    raise LoadError(f"{_described(module)} has neither 'application' nor 'app'; name the object: '{name}:NAME'")


def _follow(module: ModuleType, spec: Spec, name: str) -> Any:
    found: Any = module
    for part in spec.way:
        try:
            found = getattr(found, part)
        except AttributeError:
            owner = _described(module) if found is module else _article(type(found).__name__)
            names = (word for word in dir(found) if not word.startswith("_"))
            raise LoadError(f"{name!r}: {owner} has no attribute {part!r}{nearest(part, names)}") from None
    return found


def _call(factory: Any, call: Call, name: str) -> Any:
    if not callable(factory):
        raise LoadError(f"{name!r}: {_article(type(factory).__name__)} cannot be called; leave the brackets out")
    try:
        return factory(*call.args, **call.options)
    except (Exception, SystemExit) as error:
        raise LoadError(f"the factory {name!r} failed: {_one_line(error)}") from _bare(error)


def _flags(found: Any) -> int:
    """The code flags of a function or method; 0 for everything else."""
    code = getattr(found, "__code__", None)
    return int(getattr(code, "co_flags", 0))


def _wants_no_arguments(found: Any) -> bool:
    """True only for what surely cannot take (environ, start_response), as `create_app` without its brackets."""
    called: Any = found
    itself = 0
    if type(found) is type and "__new__" not in _names(found):  # else a metaclass or __new__ decides
        called, itself = getattr(found, "__init__", None), 1
        if "__init__" not in _names(found):
            return True
    if not isinstance(called, FunctionType) or hasattr(called, "__wrapped__") or _flags(called) & _VARARGS:
        return False
    return called.__code__.co_argcount < 2 + itself


def _names(found: type) -> set[str]:
    """What a class and its bases define, `object` left out."""
    return {name for base in found.__mro__[:-1] for name in vars(base)}


def _path_hint(name: str) -> str:
    path, _, target = name.partition(":")
    if not path.endswith(".py"):
        return ""
    folder, file = os.path.split(path)
    chdir = f" --chdir {folder}" if folder else ""
    return f"; for that file:{chdir} {file[:-3]}{':' + target if target else ''}"


def _described(module: ModuleType) -> str:
    """With its file: a module of the standard library that hides one's own `code.py` is then easy to see."""
    file = getattr(module, "__file__", None)
    return f"module {module.__name__!r} ({file})" if file else f"module {module.__name__!r}"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _bare(error: BaseException) -> BaseException:
    """Without the frames of this module and of the import system, which come first and say nothing about the app."""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file not in (__file__, importlib.__file__) and not file.startswith("<frozen importlib"):
            break
        trace = trace.tb_next
    return error.with_traceback(trace)
