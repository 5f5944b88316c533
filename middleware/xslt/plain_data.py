"""Errors and bundles as plain data, to send them from one process to another.

Owns both directions. What comes back is checked as if an attacker had written it.
"""

from __future__ import annotations

from typing import Any

from wsgikit.middleware.xslt import failures
from wsgikit.middleware.xslt.bundle import Bundle
from wsgikit.middleware.xslt.failures import Place, Refused, TooLarge, XsltError
from wsgikit.middleware.xslt.output import Output, output_from
from wsgikit.middleware.xslt.scan import Finding

__all__ = ["bundle_from", "bundle_to", "error_from", "error_to"]

_KINDS: dict[str, type[XsltError]] = {
    name: getattr(failures, name) for name in failures.__all__ if name not in ("Place", "XsltError")
}


def error_to(error: XsltError) -> dict[str, Any]:
    """An error as JSON."""
    return {
        "kind": type(error).__name__,
        "text": error.text,
        "place": list(error.place),
        "word": getattr(error, "reason", "") or getattr(error, "limit", ""),
        "messages": list(getattr(error, "messages", ())),
    }


def error_from(data: dict[str, Any]) -> XsltError:
    """The error again."""
    kind = _KINDS.get(_text(data, "kind"), failures.TransformError)
    place = _place(data.get("place"))
    text = _text(data, "text")
    if kind is Refused or kind is TooLarge:
        error: XsltError = kind(_text(data, "word"), text, place)
    else:
        error = kind(text, place)
    error.messages = texts_in(data, "messages")  # type: ignore[attr-defined]
    return error


def bundle_to(bundle: Bundle) -> tuple[dict[str, Any], list[bytes]]:
    """A bundle as JSON and the bytes of its files."""
    names = list(bundle.files)
    head = {
        "uri": bundle.uri,
        "names": names,
        "links": {name: [list(link) for link in links] for name, links in bundle.links.items()},
        "output": {"method": bundle.output[0], "media-type": bundle.output[1], "encoding": bundle.output[2]},
        "fingerprint": bundle.fingerprint,
        "volatile": bundle.volatile,
        "version": bundle.version,
        "notes": [[found.reason, found.text, list(found.place)] for found in bundle.notes],
    }
    return head, [bundle.files[name] for name in names]


def bundle_from(head: dict[str, Any], files: dict[str, bytes]) -> Bundle:
    """The bundle again; without dependencies, which only who opened the files knows."""
    notes = [note for note in head.get("notes", ()) if isinstance(note, list) and len(note) == 3]
    links = head.get("links")
    return Bundle(
        uri=_text(head, "uri"),
        files=files,
        links={
            str(name): tuple((str(link[0]), str(link[1])) for link in found if len(link) == 2)
            for name, found in (links.items() if isinstance(links, dict) else ())
        },
        output=_output(head.get("output")),
        fingerprint=_text(head, "fingerprint"),
        volatile=bool(head.get("volatile")),
        version=_text(head, "version"),
        notes=tuple(Finding(str(reason), str(text), _place(place)) for reason, text, place in notes),
    )


def texts_in(data: dict[str, Any], name: str) -> tuple[str, ...]:
    """A list of texts; empty when it is none."""
    found = data.get(name)
    return tuple(str(text) for text in found) if isinstance(found, list) else ()


def _output(data: Any) -> Output:
    return output_from({str(name): str(value) for name, value in data.items()} if isinstance(data, dict) else {})


def _place(data: Any) -> Place:
    if isinstance(data, list) and len(data) == 3 and type(data[1]) is int and type(data[2]) is int:
        return Place(str(data[0]), data[1], data[2])
    return Place()


def _text(data: dict[str, Any], name: str) -> str:
    found = data.get(name)
    return found if isinstance(found, str) else ""
