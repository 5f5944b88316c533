"""Media types of files by name, the same on every machine.

Owns the types that system tables lack or have wrong. Must not know files' contents.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["media_type"]

# RFC 9239 for JavaScript; the rest as registered with IANA. mimetypes takes the system's table, which differs.
_TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
    ".zst": "application/zstd",
}
_UNKNOWN = "application/octet-stream"
_WITH_CHARSET = frozenset(("text/html", "text/css", "text/plain", "text/javascript", "text/csv", "text/markdown"))


def media_type(name: str, own: Mapping[str, str], charset: str) -> str:
    """Content-Type for a file name. `own` maps endings (".x") to types and wins; `charset` goes to text types."""
    ending = "." + name.rpartition(".")[2].lower() if "." in name else ""
    found = own.get(ending) or _TYPES.get(ending)
    if found is None:
        import mimetypes

        guessed, encoding = mimetypes.guess_type(name)
        # an encoding here would be Content-Encoding, but the file is meant as it is: page.tar.bz2 is an archive
        found = _UNKNOWN if encoding else guessed or _UNKNOWN
    return f"{found}; charset={charset}" if charset and found in _WITH_CHARSET else found
