"""Compute the package list; everything else is in pyproject.toml.

`middleware/` and `validators/` are folders of their own and are installed as `wsgikit.middleware` and
`wsgikit.validators`. The two symlinks inside `wsgikit/` serve editors and type checkers; the mapping here is what
builds go by, so that a checkout without symlinks (Windows) still makes a complete wheel.
"""

import warnings
from pathlib import Path

from setuptools import setup

ROOTS = {"wsgikit": "wsgikit", "wsgikit.middleware": "middleware", "wsgikit.validators": "validators"}


def packages() -> list[str]:
    found = []
    for name, folder in ROOTS.items():
        for init in sorted(Path(folder).rglob("__init__.py")):
            inner = init.parent.relative_to(folder)
            if not any(part in ("middleware", "validators") for part in inner.parts):
                found.append(".".join([name, *inner.parts]))
    return found


# Every editable install warns of folders that hide the package; here the folder is the package, so nothing is hidden.
warnings.filterwarnings("ignore", message="Editable installation")

setup(packages=packages(), package_dir=ROOTS)
