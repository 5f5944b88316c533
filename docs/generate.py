"""Write the generated pages of this folder: `make docs`. With --check, say which are not current, and leave with 1."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from wsgikit.config.reference import options_page
from wsgikit.middleware.manual import middleware_page
from wsgikit.validators.rules.catalogue import markdown as rules_page

HERE = Path(__file__).parent

PAGES: dict[str, Callable[[], str]] = {
    "middleware.md": middleware_page,
    "options.md": options_page,
    "rules.md": rules_page,
}


def main(arguments: list[str]) -> int:
    stale = [name for name, page in PAGES.items() if not is_current(name, page())]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} is not current: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (HERE / name).write_text(PAGES[name](), "utf-8")
        print(f"docs/{name}")
    return 0


def is_current(name: str, text: str) -> bool:
    path = HERE / name
    return path.is_file() and path.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
