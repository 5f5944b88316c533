"""Chains of stylesheets as they are now, and transformations with them.

Owns the engine, the cache of stylesheets, the results that are kept, and the table of chains that entity tags name.
One of it belongs to each middleware; all of a worker's threads use it. Must not know HTTP.
"""

from __future__ import annotations

import operator
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from wsgikit.middleware.xslt.failures import XsltError
from wsgikit.middleware.xslt.space import APP_SCHEME, Space
from wsgikit.middleware.xslt.tags import chain_digest

if TYPE_CHECKING:
    from wsgikit.middleware.xslt.engine import Engine, Parameters, Result, Source
    from wsgikit.middleware.xslt.output import Output
    from wsgikit.middleware.xslt.results import Results
    from wsgikit.middleware.xslt.sheets import Compiled, Sheets

__all__ = ["Chain", "Workshop"]

# Tags of more chains than this are not known any more; their holders get a full answer once.
_CHAINS = 1000
# Of more URLs than this it is not remembered what is there; a conditional request for one gets a full answer once.
_URLS = 5000
_LONGEST = 500


class Chain(NamedTuple):
    """`digest`: of all their files; `modified`: the newest of them, in seconds; `volatile`: results change by
    themselves; `output`: of the last."""

    uris: tuple[str, ...]
    compiled: tuple[Compiled, ...]
    digest: str
    modified: int
    volatile: bool
    output: Output

    @property
    def from_app(self) -> bool:
        """Whether it was asked for inside the process."""
        return self.uris[0].startswith(APP_SCHEME)


class Workshop:
    """See the module. `salt`: what else results depend on, e.g. which engine makes them."""

    def __init__(self, engine: Engine, sheets: Sheets, space: Space, results: Results, salt: str) -> None:
        self.engine = engine
        self.space = space
        self.results = results
        self._sheets = sheets
        self._salt = salt
        self._known: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._chains: dict[tuple[str, ...], Chain] = {}
        self._lock = threading.Lock()
        self.kinds: dict[str, str] = {}

    def note_kind(self, url: str, media: str) -> None:
        """Remember what kind of source a URL has; "" for one that is not transformed."""
        if self.kinds.get(url) != media and len(url) <= _LONGEST:
            if len(self.kinds) >= _URLS:
                self.kinds.clear()
            self.kinds[url] = media

    def chain(self, uris: Sequence[str], space: Space | None = None) -> Chain:
        """The stylesheets, fresh; `space` for those that are not files. XsltError."""
        uris = tuple(uris)
        compiled = tuple([self._sheets.get(uri, space or self.space) for uri in uris])
        before = self._chains.get(uris)
        # the very same objects: nothing was compiled or noted since
        if before is not None and all(map(operator.is_, before.compiled, compiled)):
            return before
        chain = self._described(uris, compiled)
        if len(self._chains) >= self._sheets.most:
            self._chains.clear()
        self._chains[uris] = chain
        return chain

    def _described(self, uris: tuple[str, ...], compiled: tuple[Compiled, ...]) -> Chain:
        digest = chain_digest([sheet.fingerprint for sheet in compiled], self._salt)
        self._remember(digest, uris)
        return Chain(
            uris,
            compiled,
            digest,
            max(sheet.modified for sheet in compiled),
            any(sheet.volatile for sheet in compiled),
            compiled[-1].sheet.output,
        )

    def _remember(self, digest: str, uris: tuple[str, ...]) -> None:
        if digest in self._known:
            return
        with self._lock:
            self._known[digest] = uris
            while len(self._known) > _CHAINS:
                self._known.popitem(last=False)

    def still(self, digest: str, space: Space | None = None) -> Chain | None:
        """The chain that a digest stood for, if it is still the same."""
        uris = self._known.get(digest)
        if uris is None:
            return None
        try:
            chain = self.chain(uris, space)
        except XsltError:
            return None
        return chain if chain.digest == digest and not chain.volatile else None

    def transform(self, chain: Chain, source: Source, parameters: Parameters) -> tuple[Result, Chain]:
        """A result, and the chain with what document() has read. XsltError."""
        result = self.engine.apply([compiled.sheet for compiled in chain.compiled], source, parameters)
        if not result.documents:
            return result, chain
        noted = tuple(self._sheets.note(compiled, result.documents) for compiled in chain.compiled)
        return result, self._described(chain.uris, noted)
