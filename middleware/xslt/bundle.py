"""A stylesheet with everything it is made of, read and looked through once.

Owns the walk along xsl:import and xsl:include and what comes of it: a `Bundle` that an engine compiles without opening
a file, as often as it needs; the list of what a policy refuses. Needs lxml; imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from urllib.parse import urljoin

from wsgikit.middleware.xslt.failures import Place, Refused, SheetError, TooLarge, XsltError
from wsgikit.middleware.xslt.output import NO_OUTPUT, Output, output_from
from wsgikit.middleware.xslt.policy import Policy
from wsgikit.middleware.xslt.scan import NOTHING, Finding, Scan, scan
from wsgikit.middleware.xslt.space import APP_SCHEME, SCHEME, Dependency, Loaded, Space, shown

__all__ = ["Bundle", "collect", "survey"]

# a host that no URI names (RFC 2606 2)
_NOBODY = "http://wsgikit.invalid"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """`files`: URI -> bytes, of stylesheets and their entity files. `links`: URI of a stylesheet -> (as written, URI)
    of what it imports and includes. `fingerprint`: changes when any of it does. `volatile`: its results change with
    time or chance. `notes`: findings that are no reason to refuse it. Plain data: it can be sent to another process.
    """

    uri: str
    files: Mapping[str, bytes]
    links: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    output: Output = NO_OUTPUT
    fingerprint: str = ""
    volatile: bool = False
    version: str = ""
    notes: tuple[Finding, ...] = ()
    fixed_names: bool = False


def collect(uri: str, space: Space, policy: Policy) -> Bundle:
    """Read a stylesheet and all it imports. The first thing that the policy refuses is raised.

    SheetError, Refused, TooLarge; they carry `dependencies`, the files to watch for a change that may mend it.
    """
    walk = _Walk(space, policy)
    try:
        return walk.bundle(uri)
    except XsltError as error:
        error.dependencies = (*walk.dependencies(), space.trace(walk.current or uri))  # type: ignore[attr-defined]
        raise


def survey(uri: str, space: Space, policy: Policy) -> tuple[list[str], list[XsltError]]:
    """What a stylesheet consists of, and everything that is refused or broken in it, for `wsgikit check xslt`."""
    walk = _Walk(space, policy, tolerant=True)
    try:
        walk.bundle(uri)
    except XsltError as error:
        walk.problems.append(error)
    return [shown(name) for name in walk.scans], walk.problems


class _Walk:
    def __init__(self, space: Space, policy: Policy, *, tolerant: bool = False) -> None:
        self._space = space
        self._policy = policy
        self._tolerant = tolerant
        self._loaded: dict[str, Loaded] = {}
        self._links: dict[str, list[tuple[str, str]]] = {}
        self.scans: dict[str, Scan] = {}
        self.problems: list[XsltError] = []
        self.current = ""

    def dependencies(self) -> tuple[Dependency, ...]:
        return tuple(loaded.dependency for loaded in self._loaded.values())

    def bundle(self, uri: str) -> Bundle:
        main = self._space.normal(uri)
        self._visit(main)
        self._judge()
        output, unknown = self._writable(output_from(self._output(main, set())), main)
        content = blake2b(digest_size=12)
        for name, loaded in sorted(self._loaded.items()):
            content.update(f"{name}\0{loaded.dependency.digest}\0".encode())
        return Bundle(
            uri=main,
            files={name: loaded.data for name, loaded in self._loaded.items()},
            links={name: tuple(links) for name, links in self._links.items()},
            dependencies=self.dependencies(),
            output=output,
            fingerprint=content.hexdigest(),
            volatile=any(found.volatile for found in self.scans.values()),
            version=self.scans[main].version if main in self.scans else "",
            notes=(*unknown, *(found for seen in self.scans.values() for found in seen.findings)),
            fixed_names=all(found.fixed_names for found in self.scans.values()),
        )

    def _writable(self, output: Output, main: str) -> tuple[Output, tuple[Finding, ...]]:
        """What results will be in: UTF-8 in place of an encoding that nobody knows (XSLT 1.0, section 16.1)."""
        from wsgikit.middleware.xslt.sheet_parser import knows_encoding

        if not output.encoding or knows_encoding(output.encoding):
            return output, ()
        text = f"<xsl:output encoding={output.encoding!r}> is not known; results are in UTF-8"
        return output._replace(encoding="utf-8"), (Finding("encoding", text, Place(shown(main))),)

    def _read(self, uri: str) -> Loaded:
        """One file, once; counted against the limits."""
        normal = self._space.normal(uri)
        if normal in self._loaded:
            return self._loaded[normal]
        self.current = normal
        limits = self._policy.limits
        if len(self._loaded) >= limits.files:
            raise TooLarge("files", f"a stylesheet of more than {limits.files} files", Place(shown(uri)))
        loaded = self._space.open(normal)
        if sum(len(other.data) for other in self._loaded.values()) + len(loaded.data) > limits.sheets:
            raise TooLarge("max_sheets", f"a stylesheet of more than {limits.sheets} bytes", Place(shown(uri)))
        self._loaded[normal] = loaded
        self._links.setdefault(normal, [])
        return loaded

    def _visit(self, uri: str) -> None:
        """Read a file and what it leads to, each once. A list, no recursion: depth is the author's choice."""
        waiting = [uri]
        while waiting:
            name = waiting.pop()
            if name in self.scans:
                continue
            try:
                found = self.scans[name] = self._scanned(self._read(name))
            except XsltError as error:
                if not self._tolerant:
                    raise
                self.scans[name] = NOTHING
                self.problems.append(error)
                continue
            for written, base, place in (*found.imports, *found.includes):
                target = self._guarded(written, base, place)
                if target is not None:
                    self._links[name].append((written, target))
                    waiting.append(target)

    def _guarded(self, written: str, base: str, place: Place) -> str | None:
        try:
            if not written:
                raise SheetError("href is missing")
            return self._read(_joined(base, written)).uri
        except XsltError as error:
            error.place = error.place if error.place.file else place
            if not self._tolerant:
                raise
            self.problems.append(error)
            return None

    def _scanned(self, loaded: Loaded) -> Scan:
        from wsgikit.middleware.xslt.sheet_parser import parse_sheet

        tree = parse_sheet(loaded, self._policy, self._read)
        return scan(tree, loaded.uri)

    def _judge(self) -> None:
        for refusal in self._refusals():
            if not self._tolerant:
                raise refusal
            self.problems.append(refusal)

    def _refusals(self) -> Iterator[Refused]:
        from wsgikit.middleware.xslt.sheet_parser import engine_has

        allow = self._policy.allow
        for found in self.scans.values():
            for reason, text, place in found.findings:
                if reason in ("dynamic", "regexp", "extensions") and reason not in allow:
                    yield Refused(reason, f"{text} is refused; allow = [{reason!r}] permits it", place)
            if "extensions" in allow:
                continue
            for namespace, name, place in found.unknown:
                if engine_has(namespace, name):
                    text = f"the extension function {name}() of {namespace} is refused; allow = ['extensions'] permits"
                    yield Refused("extensions", text, place)

    def _output(self, uri: str, seen: set[str]) -> dict[str, str]:
        """Attributes of xsl:output by import precedence (XSLT 1.0, section 16): what imports beats what is imported."""
        found = self.scans.get(uri)
        if found is None or uri in seen:
            return {}
        seen = {*seen, uri}
        merged: dict[str, str] = {}
        targets = dict(self._links.get(uri, ()))  # none where the file could not be read
        for written, _, _ in (*found.imports, *found.includes):
            merged.update(self._output(targets.get(written, ""), seen))
        for attributes in found.outputs:
            merged.update(attributes)
        return merged


def _joined(base: str, written: str) -> str:
    """RFC 3986 5.2 for bases of our scheme, which urljoin does not know as one with a hierarchy."""
    for scheme in (SCHEME, APP_SCHEME):
        if base.startswith(scheme):
            joined = urljoin(_NOBODY + base[len(scheme) :], written)
            return scheme + joined[len(_NOBODY) :] if joined.startswith(_NOBODY + "/") else joined
    return urljoin(base, written)


def dependencies_of(error: XsltError) -> tuple[Dependency, ...]:
    """The files to watch for a change that may mend what `error` is about."""
    found: Any = getattr(error, "dependencies", ())
    return tuple(found)
