"""Static files: validators, ranges, coded files, and nothing outside the folder."""

from __future__ import annotations

import gzip
import os
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgi_gateway import FileWrapper, Seen, drive, make_environ

from wsgikit.errors import ConfigError
from wsgikit.middleware.file_body import spans
from wsgikit.middleware.file_store import segments
from wsgikit.middleware.file_types import media_type
from wsgikit.middleware.static import Static

TEXT = b"0123456789abcdefghij"


def other(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / ".well-known").mkdir()
    (root / "a.txt").write_bytes(TEXT)
    (root / "zero.txt").write_bytes(b"")
    (root / "sub" / "index.html").write_text("<p>sub")
    (root / "sub" / "b c&d.bin").write_bytes(b"\0\1")
    (root / ".hidden").write_text("secret")
    (root / ".well-known" / "security.txt").write_text("contact")
    (root / "app.0123456789ab.js").write_text("hashed")
    (root / "photo-20240101.jpg").write_text("dated")
    (tmp_path / "outside.txt").write_text("outside")
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "x.txt").write_text("a neighbour with the same beginning")
    os.symlink(root / "a.txt", root / "inside.link")
    os.symlink(tmp_path / "outside.txt", root / "outside.link")
    os.symlink(tmp_path, root / "up")
    os.symlink(tmp_path / "root2", root / "sub" / "neighbour")
    os.symlink(root / "nowhere", root / "broken.link")
    os.mkfifo(root / "pipe")
    return root


def ask(site: Path, path: str = "/a.txt", method: str = "GET", options: Any = None, **extra: Any) -> Seen:
    layer = Static(other, directory=str(site), **{"fallthrough": False, **(options or {})})
    return drive(layer, make_environ(method, path, **extra))


def test_a_file_has_validators_type_and_length(site: Path) -> None:
    seen = ask(site)
    assert (seen.code, seen.body) == (200, TEXT)
    assert isinstance(seen.returned, FileWrapper)
    for name, value in (
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "20"),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "public, max-age=60"),
        ("Vary", "Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
    ):
        assert seen.get(name) == value
    assert (seen.get("ETag") or "")[0] == '"'
    assert (seen.get("Last-Modified") or "").endswith("GMT")


def test_head_has_the_same_headers_and_no_body(site: Path) -> None:
    get, head = ask(site), ask(site, method="HEAD")
    assert (head.headers, head.body) == (get.headers, b"")


def test_without_a_file_wrapper_blocks_are_sent(site: Path) -> None:
    (site / "large").write_bytes(b"x" * 200_000)
    environ = make_environ(path="/large")
    del environ["wsgi.file_wrapper"]
    seen = drive(Static(other, directory=str(site)), environ)
    assert (len(seen.body), len(seen.blocks)) == (200_000, 4)


@pytest.mark.parametrize(
    ("value", "body", "content_range"),
    [
        ("bytes=0-4", b"01234", "bytes 0-4/20"),
        ("bytes=15-", b"fghij", "bytes 15-19/20"),
        ("bytes=-3", b"hij", "bytes 17-19/20"),
        ("bytes=-100", TEXT, "bytes 0-19/20"),
        ("bytes=19-19", b"j", "bytes 19-19/20"),
        ("bytes=18-100", b"ij", "bytes 18-19/20"),
        ("bytes=5-5, 30-40", b"5", "bytes 5-5/20"),
    ],
)
@pytest.mark.parametrize("server", [{}, {"wsgikit.on_close": True}], ids=["foreign", "wsgikit"])
def test_one_range(site: Path, value: str, body: bytes, content_range: str, server: Any) -> None:
    seen = ask(site, HTTP_RANGE=value, **server)
    assert (seen.code, seen.get("Content-Range")) == (206, content_range)
    assert seen.get("Content-Length") == str(len(body))
    # a server sends no more than Content-Length says, our own for file wrappers, too
    assert seen.body[: len(body)] == body
    if not server:
        assert seen.body == body


@pytest.mark.parametrize("value", ["bytes=20-", "bytes=30-40", "bytes=-0"])
def test_a_range_that_is_not_there_is_416(site: Path, value: str) -> None:
    seen = ask(site, HTTP_RANGE=value)
    if value == "bytes=-0":
        assert seen.code in (200, 416)
    else:
        assert (seen.code, seen.get("Content-Range")) == (416, "bytes */20")
    assert ask(site, "/zero.txt", HTTP_RANGE="bytes=0-").code == 416


@pytest.mark.parametrize(
    "value",
    [
        "bytes=5-2",
        "lines=1-2",
        "bytes",
        "bytes=a-b",
        "bytes=" + ",".join(["0-0"] * 17),
        "bytes=0-,0-,0-",
        "bytes=0-19,0-1",
    ],
)
def test_a_range_that_makes_no_sense_or_asks_for_more_than_there_is_gets_the_whole(site: Path, value: str) -> None:
    assert ask(site, HTTP_RANGE=value).body == TEXT


def test_ranges_are_for_get_alone(site: Path) -> None:
    assert ask(site, method="HEAD", HTTP_RANGE="bytes=0-4").code == 200


def test_several_ranges_are_a_multipart_body_of_the_length_it_says(site: Path) -> None:
    seen = ask(site, HTTP_RANGE="bytes=0-1,5-6,-2")
    media = seen.get("Content-Type") or ""
    assert (seen.code, seen.get("Content-Length")) == (206, str(len(seen.body)))
    assert media.startswith("multipart/byteranges; boundary=")
    parts: Any = BytesParser().parsebytes(f"Content-Type: {media}\r\n\r\n".encode() + seen.body).get_payload()
    assert [part.get_payload(decode=True) for part in parts] == [b"01", b"56", b"ij"]
    assert all(isinstance(part, Message) for part in parts)
    assert [part["Content-Range"] for part in parts] == ["bytes 0-1/20", "bytes 5-6/20", "bytes 18-19/20"]
    assert [part["Content-Type"] for part in parts] == ["text/plain; charset=utf-8"] * 3


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.none() | st.integers(0, 30)) | st.integers(1, 30), min_size=1, max_size=4
    ),
    st.integers(0, 25),
)
def test_spans_are_what_a_slice_would_be(ranges: Any, size: int) -> None:
    data = bytes(range(size))
    texts = [f"-{r}" if isinstance(r, int) else f"{r[0]}-{'' if r[1] is None else r[1]}" for r in ranges]
    found = spans("bytes=" + ",".join(texts), size, 16)
    if found is None:
        return
    wanted = []
    for r in ranges:
        piece = data[-r:] if isinstance(r, int) else data[r[0] : None if r[1] is None else r[1] + 1]
        if piece:
            wanted.append(piece)
    assert [data[start:stop] for start, stop in found] == wanted
    assert sum(map(len, wanted)) <= size


def test_conditions(site: Path) -> None:
    first = ask(site)
    etag, modified = first.get("ETag") or "", first.get("Last-Modified") or ""
    for fields in ({"HTTP_IF_NONE_MATCH": etag}, {"HTTP_IF_MODIFIED_SINCE": modified}):
        for method in ("GET", "HEAD"):
            seen = ask(site, method=method, **fields)
            assert (seen.code, seen.body, seen.get("ETag")) == (304, b"", etag)
            assert seen.get("Content-Length") is None
    assert ask(site, HTTP_IF_MATCH='"x"').code == 412
    assert ask(site, HTTP_IF_NONE_MATCH='"x"').code == 200
    assert ask(site, HTTP_IF_RANGE=etag, HTTP_RANGE="bytes=0-0").code == 206
    assert ask(site, HTTP_IF_RANGE='"x"', HTTP_RANGE="bytes=0-0").body == TEXT
    assert ask(site, HTTP_IF_RANGE=modified, HTTP_RANGE="bytes=0-0").code == 206


def test_a_changed_file_has_another_etag(site: Path) -> None:
    before = ask(site).get("ETag")
    os.utime(site / "a.txt", ns=(1, 2))
    assert ask(site).get("ETag") != before


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt",
        "/sub/../../outside.txt",
        "/..",
        "/.",
        "/./a.txt",
        "/sub/..\\..\\outside.txt",
        "/..%2foutside.txt",
        "//a.txt",
        "/sub//index.html",
        "/a.txt/",
        "/a.txt\0",
        "/a.txt\0.jpg",
        "/\0",
        "/.hidden",
        "/.well-known/../.hidden",
        "/outside.link",
        "/up/outside.txt",
        "/up/root/../outside.txt",
        "/sub/neighbour/x.txt",
        "/broken.link",
        "/pipe",
        "/nothing",
        "/a.txt/b",
        "/" + "x" * 5000,
        "/empty",
        "/empty/",
        "/\u0100",
    ],
)
def test_nothing_else_is_found(site: Path, path: str) -> None:
    for method in ("GET", "HEAD"):
        seen = ask(site, path, method)
        assert (seen.code, b"outside" in seen.body or b"secret" in seen.body) == (404, False)
    assert ask(site, path, options={"fallthrough": True}).body == b"the app"


@given(st.text(st.sampled_from("./\\%2e\0ab~\xff"), max_size=20))
def test_no_path_has_a_way_up_in_it(path: str) -> None:
    names = segments("/" + path, hidden=True)
    if names is not None:
        assert not {"", ".", ".."} & set(names)
        assert not any("/" in name or "\\" in name or "\0" in name for name in names)


def test_links_go_where_the_option_says(site: Path) -> None:
    assert ask(site, "/inside.link").body == TEXT
    assert ask(site, "/inside.link", options={"symlinks": "none"}).code == 404
    assert ask(site, "/a.txt", options={"symlinks": "none"}).code == 200
    assert ask(site, "/outside.link", options={"symlinks": "any"}).body == b"outside"
    assert ask(site, "/up/outside.txt", options={"symlinks": "any"}).body == b"outside"


def test_a_root_that_is_a_link_is_fine(site: Path, tmp_path: Path) -> None:
    os.symlink(site, tmp_path / "current")
    for symlinks in ("inside", "none"):
        assert ask(tmp_path / "current", options={"symlinks": symlinks}).body == TEXT


def test_hidden_files_where_they_are_wanted(site: Path) -> None:
    assert ask(site, "/.well-known/security.txt").body == b"contact"
    assert ask(site, "/.hidden", options={"hidden": True}).body == b"secret"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_not_found(site: Path) -> None:
    (site / "a.txt").chmod(0)
    assert ask(site).code == 404


def test_a_folder_is_its_index_and_needs_its_slash(site: Path) -> None:
    assert ask(site, "/sub/").body == b"<p>sub"
    seen = ask(site, "/sub", QUERY_STRING="a=1&b=%20", SCRIPT_NAME="/files")
    assert (seen.code, seen.get("Location")) == (308, "/files/sub/?a=1&b=%20")
    assert ask(site, "/sub/", options={"index": ""}).code == 404


def test_a_redirect_never_leads_to_another_site(site: Path) -> None:
    for script in ("/", "//evil.example", "/\\evil"):
        location = ask(site, "/sub", SCRIPT_NAME=script).get("Location") or ""
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))


def test_a_prefix(site: Path) -> None:
    options = {"at": "/files", "fallthrough": True}
    assert ask(site, "/files/a.txt", options=options).body == TEXT
    for path in ("/a.txt", "/filesa.txt", "/file", "/files/none"):
        assert ask(site, path, options=options).body == b"the app"


def test_methods(site: Path) -> None:
    seen = ask(site, method="POST")
    assert (seen.code, seen.get("Allow")) == (405, "GET, HEAD")
    assert ask(site, method="POST", options={"fallthrough": True}).body == b"the app"


@pytest.mark.parametrize(
    ("name", "caching"),
    [
        ("a.txt", "public, max-age=60"),
        ("app.0123456789ab.js", "public, max-age=31536000, immutable"),
        ("photo-20240101.jpg", "public, max-age=60"),
    ],
)
def test_hashed_names_never_change(site: Path, name: str, caching: str) -> None:
    assert ask(site, f"/{name}").get("Cache-Control") == caching


def test_caching_may_be_off(site: Path) -> None:
    assert ask(site, options={"max_age": 0}).get("Cache-Control") == "no-cache"
    seen = ask(site, "/app.0123456789ab.js", options={"immutable": ""})
    assert seen.get("Cache-Control") == "public, max-age=60"


def test_a_coded_file_beside_is_sent_to_who_takes_it(site: Path) -> None:
    (site / "a.txt.gz").write_bytes(gzip.compress(TEXT))
    plain, coded = ask(site), ask(site, HTTP_ACCEPT_ENCODING="br, gzip")
    assert (coded.get("Content-Encoding"), gzip.decompress(coded.body)) == ("gzip", TEXT)
    assert coded.get("Content-Type") == plain.get("Content-Type")
    assert coded.get("ETag") != plain.get("ETag")
    assert ask(site, HTTP_ACCEPT_ENCODING="gzip;q=0").get("Content-Encoding") is None
    assert ask(site, HTTP_ACCEPT_ENCODING="gzip", options={"precompressed": False}).body == TEXT
    (site / "a.txt.br").write_bytes(b"brotli bytes")
    assert ask(site, HTTP_ACCEPT_ENCODING="br, gzip").body == b"brotli bytes"
    direct = ask(site, "/a.txt.gz", HTTP_ACCEPT_ENCODING="gzip")
    assert (direct.get("Content-Type"), direct.get("Content-Encoding")) == ("application/gzip", None)


def test_an_old_coded_file_is_not_used(site: Path) -> None:
    (site / "a.txt.gz").write_bytes(gzip.compress(b"old"))
    os.utime(site / "a.txt.gz", ns=(1, 1))
    assert ask(site, HTTP_ACCEPT_ENCODING="gzip").body == TEXT


def test_a_listing_shows_what_can_be_had_and_escapes_names(site: Path) -> None:
    evil = site / "empty" / '<img src=x onerror="alert(1)">.txt'
    evil.write_text("x")
    (site / "empty" / "javascript:alert(1)").write_text("x")
    (site / "empty" / ".secret").write_text("x")
    os.symlink("nowhere", site / "empty" / "broken")
    seen = ask(site, "/empty/", options={"listing": True})
    page = seen.body.decode()
    assert seen.get("Content-Type") == "text/html; charset=utf-8"
    assert "<img" not in page
    assert 'href="./javascript%3Aalert%281%29"' in page
    assert ".secret" not in page
    assert "broken" not in page
    assert 'href="../"' in page
    top = ask(site, "/", options={"listing": True}).body.decode()
    assert 'href="../"' not in top
    assert top.index('href="./sub/"') < top.index('href="./a.txt"')
    assert ask(site, "/empty", options={"listing": True}).code == 308
    assert ask(site, "/sub/", options={"listing": True}).body == b"<p>sub"


@pytest.mark.parametrize(("symlinks", "shown"), [("inside", 1), ("none", 0), ("any", 3)])
def test_a_listing_does_not_tell_of_what_links_lead_to_outside(site: Path, symlinks: str, shown: int) -> None:
    (site.parent / "secret.key").write_text("0123456789" * 1000)
    os.symlink(site.parent / "secret.key", site / "empty" / "zz1")
    os.symlink(site.parent, site / "empty" / "zz2")
    os.symlink(site / "a.txt", site / "empty" / "zz3")
    (site / "empty" / "back\\slash").write_text("x")
    page = ask(site, "/empty/", options={"listing": True, "symlinks": symlinks}).body.decode()
    assert page.count('href="./zz') == shown
    assert ("9.8 KiB" in page) == (symlinks == "any")
    assert "slash" not in page


def test_names_that_are_no_utf8_are_listed_and_served(site: Path) -> None:
    with open(os.fsencode(site) + b"/caf\xe9.txt", "wb") as file:
        file.write(b"latin")
    page = ask(site, "/", options={"listing": True}).body
    assert b'href="./caf%E9.txt"' in page
    assert ask(site, "/caf\xe9.txt").body == b"latin"


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("a.HTML", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.wasm", "application/wasm"),
        ("a.tar.gz", "application/gzip"),
        ("a.tar.bz2", "application/octet-stream"),
        ("README", "application/octet-stream"),
        ("a.own", "model/own"),
        ("a.unknownending", "application/octet-stream"),
    ],
)
def test_types(name: str, media: str) -> None:
    assert media_type(name, {".own": "model/own"}, "utf-8") == media


def test_every_way_out_closes_its_files(site: Path) -> None:
    (site / "a.txt.gz").write_bytes(gzip.compress(TEXT))
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for fields in (
        {},
        {"HTTP_RANGE": "bytes=0-1"},
        {"HTTP_RANGE": "bytes=0-1,3-4"},
        {"HTTP_RANGE": "bytes=90-"},
        {"HTTP_IF_MATCH": '"x"'},
        {"HTTP_IF_NONE_MATCH": "*"},
        {"HTTP_ACCEPT_ENCODING": "gzip"},
    ):
        for method in ("GET", "HEAD"):
            for path in ("/a.txt", "/a.txt/", "/sub", "/sub/", "/up", "/outside.link", "/empty/"):
                ask(site, path, method, **fields)
    if before is not None:
        assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directory": "/no/such/folder"}, "there is no such folder"),
        ({"at": "files"}, "has to start with '/'"),
        ({"symlinks": "yes"}, "allowed are 'inside', 'none', 'any'"),
        ({"immutable": "("}, "no regular expression"),
        ({"ranges": 0}, "ranges = 0"),
        ({"max_age": "soon"}, "max_age = 'soon'"),
    ],
)
def test_wrong_options_are_refused(site: Path, options: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Static(other, **{"directory": str(site), **options})
    assert message in str(caught.value)
