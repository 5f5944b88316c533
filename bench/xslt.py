"""XSLT beside nginx's xslt module, and beside the same lxml code on waitress.

    make bench ARGS="xslt [--seconds 3] [--rounds 5] [--sizes small,middle,large] [--json FILE]"

Needs Linux, two cores, wrk, and: apt-get install nginx libnginx-mod-http-xslt-filter; pip install waitress. What is not
installed shows as such. One stylesheet, compiled before, over feeds of 5 KiB, 200 KiB and 5 MiB in files. Every server
has one core, wrk the other. Results are compared before anything is timed; rounds are interleaved, each beginning with
another server. The last table shows what threads gain inside one process, and what sharing an etree.XSLT between
threads does. CPU time for a request is the figure to trust on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.process import BenchError, Running, free_port

SIZES = {"small": 5 << 10, "middle": 200 << 10, "large": 5 << 20}
MODULE = "/usr/lib/nginx/modules/ngx_http_xslt_filter_module.so"
SERVER_CORE, CLIENT_CORE = 0, 1
SHEET = """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:a="http://www.w3.org/2005/Atom" exclude-result-prefixes="a">
<xsl:output method="html" encoding="utf-8" indent="no"/>
<xsl:template match="/a:feed"><html><head><title><xsl:value-of select="a:title"/></title></head><body>
<h1><xsl:value-of select="a:title"/></h1><xsl:apply-templates select="a:entry">
<xsl:sort select="a:updated" order="descending"/></xsl:apply-templates></body></html></xsl:template>
<xsl:template match="a:entry"><div class="entry" id="{@id}"><h2><a href="{a:link/@href}">
<xsl:value-of select="a:title"/></a></h2><p class="meta"><xsl:value-of select="a:author/a:name"/>,
<xsl:value-of select="substring(a:updated, 1, 10)"/></p>
<p><xsl:value-of select="a:content"/></p></div></xsl:template></xsl:stylesheet>"""
APP = """
import threading
from wsgikit.middleware import XSLT, Stack, Static, Use

def nothing(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"-"]

def create(results=0):
    layer = Use(XSLT, stylesheet="page.xsl", max_input="16MiB", max_output="64MiB", results=results)
    return Stack(nothing, [layer, Use(Static, directory="site", max_age=0)])

own = threading.local()

def floor(environ, start_response):
    # the shortest thing that works: one compiled stylesheet a thread, no limits, no validators
    from lxml import etree
    if not hasattr(own, "transform"):
        own.transform = etree.XSLT(etree.parse("page.xsl"))
    with open("site" + environ["PATH_INFO"], "rb") as file:
        body = bytes(own.transform(etree.fromstring(file.read())))
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
"""
THREADS = """
import sys, threading, time
from lxml import etree
from wsgikit.middleware.xslt.engine import Source, make_engine
from wsgikit.middleware.xslt.policy import policy_from
from wsgikit.middleware.xslt.space import Folders, file_uri
kind, count, path, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
data = open(path, "rb").read()
policy = policy_from(["page.xsl"])
sheet = make_engine("lxml", policy).compile(file_uri("page.xsl"), Folders(policy))
shared = etree.XSLT(etree.parse("page.xsl"))
done = [0] * count
until = time.perf_counter() + seconds
def work(number):
    while time.perf_counter() < until:
        sheet.apply(Source(data), {}) if kind == "wsgikit" else bytes(shared(etree.fromstring(data)))
        done[number] += 1
threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
began = time.perf_counter()
[t.start() for t in threads]; [t.join() for t in threads]
print(sum(done) / (time.perf_counter() - began))
"""


def feed(size: int) -> bytes:
    """An Atom feed of about `size` bytes."""
    words = re.findall("[a-z]+", "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu")
    entries = []
    total = number = 0
    while total < size - 200:
        text = " ".join(words[(number * 7 + turn * turn) % 12] for turn in range(45))
        entries.append(
            f'<entry id="e{number}"><title>{text[:30]} {number}</title><link href="http://a.example/{number}"/>'
            f"<updated>2026-01-{number % 28 + 1:02}T00:00:00Z</updated>"
            f"<author><name>{words[number % 12]}</name></author>"
            f'<content type="text">{text}</content></entry>\n'
        )
        total += len(entries[-1])
        number += 1
    head = '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"><title>Feed</title>'
    return (head + "".join(entries) + "</feed>").encode()


def prepare(folder: Path) -> None:
    """The files that all servers serve."""
    (folder / "site").mkdir()
    for name, size in SIZES.items():
        (folder / "site" / f"{name}.xml").write_bytes(feed(size))
    (folder / "page.xsl").write_text(SHEET)
    (folder / "xslt_bench_app.py").write_text(APP)
    (folder / "threads.py").write_text(THREADS)
    os.chmod(folder, 0o755)


def nginx_conf(folder: Path, port: int) -> Path:
    path = folder / "nginx.conf"
    path.write_text(
        f"load_module {MODULE};\nuser root;\nworker_processes 1;\ndaemon off;\npid {folder}/nginx.pid;\n"
        f"error_log stderr crit;\nevents {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n"
        f"types {{ application/xml xml; }}\nserver {{ listen 127.0.0.1:{port}; root {folder}/site; tcp_nodelay on;\n"
        f"location / {{ xslt_stylesheet {folder}/page.xsl; xslt_types application/xml; "
        "xslt_last_modified on; } } }\n"
    )
    return path


def commands(folder: Path) -> dict[str, Any]:
    """How each server is started; a text says why it cannot be."""
    python = [sys.executable, "-m"]
    here = ["--chdir", str(folder), "--pythonpath", str(folder), "--workers", "1"]

    def wsgikit(app: str, threads: int) -> Any:
        return lambda port: [
            *python,
            "wsgikit",
            "serve",
            app,
            "-b",
            f"127.0.0.1:{port}",
            "--threads",
            str(threads),
            *here,
        ]

    def waitress(port: int) -> list[str]:
        code = (
            f"import os, sys; os.chdir({str(folder)!r}); sys.path.insert(0, {str(folder)!r}); "
            f"import waitress, xslt_bench_app; "
            f"waitress.serve(xslt_bench_app.floor, listen='127.0.0.1:{port}', threads=1, _quiet=True)"
        )
        return [sys.executable, "-c", code]

    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    has_nginx = os.path.exists(nginx) and os.path.exists(MODULE)
    found: dict[str, Any] = {
        "wsgikit": wsgikit("xslt_bench_app:create()", 1),
        "wsgikit 4 threads": wsgikit("xslt_bench_app:create()", 4),
        "wsgikit results": wsgikit("xslt_bench_app:create('64MiB')", 1),
        "waitress + lxml": waitress,
        "nginx": "not installed: apt-get install nginx libnginx-mod-http-xslt-filter",
    }
    if has_nginx:
        found["nginx"] = lambda port: [nginx, "-c", str(nginx_conf(folder, port))]
    return found


class Server:
    """One server under test."""

    def __init__(self, name: str, command: Any) -> None:
        self.name = name
        self.port = free_port()
        self.running = Running(command(self.port), self.port, SERVER_CORE)

    def get(self, size: str) -> bytes:
        url = f"http://127.0.0.1:{self.port}/{size}.xml"
        deadline = time.monotonic() + 20
        while True:
            try:
                with urlopen(Request(url, headers={"Accept": "text/html"}), timeout=60) as response:
                    return bytes(response.read())
            except OSError as error:
                if time.monotonic() > deadline or self.running.popen.poll() is not None:
                    raise BenchError(f"{self.name}: {error}; {self.running.last_words()}") from None
                time.sleep(0.02)

    def load(self, size: str, seconds: float) -> tuple[float, float]:
        """(requests/s, CPU ms a request) under wrk."""
        before = self.running.cpu()
        command = [
            "taskset", "-c", str(CLIENT_CORE), "wrk", "-t1", "-c4", f"-d{seconds:g}s", "--timeout", "30s",
            "-H", "Accept: text/html", f"http://127.0.0.1:{self.port}/{size}.xml",
        ]  # fmt: skip
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in text or "Socket errors" in text:
            raise BenchError(f"{self.name}: {text}")
        requests = re.search(r"(\d+) requests in", text)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        count = int(requests[1]) if requests else 0
        return float(rate[1]) if rate else 0.0, (self.running.cpu() - before) / max(count, 1) * 1000


def canonical(body: bytes) -> str:
    """An HTML page without what serialisers add."""
    from lxml import etree, html

    root = html.document_fromstring(body)
    for element in root.iter():
        element.tail = " ".join((element.tail or "").split()) or None
        if isinstance(element.tag, str):
            element.text = " ".join((element.text or "").split()) or None
    return str(etree.tostring(root, method="c14n").decode())


def measure(servers: list[Server], sizes: list[str], options: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for size in sizes:
        bodies = {server.name: canonical(server.get(size)) for server in servers}
        different = [name for name, body in bodies.items() if body != bodies[servers[0].name]]
        if different:
            raise BenchError(f"{size}: {', '.join(different)} give another result than {servers[0].name}")
        table: dict[str, list[tuple[float, float]]] = {server.name: [] for server in servers}
        for turn in range(options.rounds):
            for server in servers[turn % len(servers) :] + servers[: turn % len(servers)]:
                table[server.name].append(server.load(size, options.seconds))
        figures[size] = {
            name: {
                "rate": median(rate for rate, _ in rounds),
                "cpu_ms": median(cpu for _, cpu in rounds),
                "rounds": rounds,
            }
            for name, rounds in table.items()
        }
        show(size, figures[size])
    return figures


def show(size: str, table: dict[str, Any]) -> None:
    base = table.get("nginx")
    print(f"\n{size} ({SIZES[size] >> 10} KiB): results are the same")
    print(f"{'':20}{'requests/s':>12}{'lowest':>10}{'CPU ms':>10}{'x nginx':>9}{'x by CPU':>10}")
    for name, row in sorted(table.items(), key=lambda item: -item[1]["rate"]):
        by_rate = f"{row['rate'] / base['rate']:.2f}" if base else "-"
        by_cpu = f"{base['cpu_ms'] / row['cpu_ms']:.2f}" if base and row["cpu_ms"] else "-"
        lowest = min(rate for rate, _ in row["rounds"])
        print(f"{name:20}{row['rate']:12,.1f}{lowest:10,.1f}{row['cpu_ms']:10.3f}{by_rate:>9}{by_cpu:>10}")


def threads(folder: Path, seconds: float) -> dict[str, Any]:
    """Transformations a second in one process, by number of threads; all cores."""
    found: dict[str, Any] = {}
    print(f"\nthreads in one process, {os.cpu_count()} cores, middle: transformations/s")
    for kind, count in (("wsgikit", 1), ("wsgikit", 2), ("wsgikit", 4), ("wsgikit", 16), ("shared", 16)):
        command = [sys.executable, "threads.py", kind, str(count), "site/middle.xml", str(seconds)]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        name = f"{kind} {count}"
        found[name] = float(run.stdout) if run.returncode == 0 else f"ended by signal {-run.returncode}"
        label = f"one etree.XSLT for {count} threads" if kind == "shared" else f"wsgikit, {count} threads"
        print(f"  {label:34}{found[name] if isinstance(found[name], str) else format(found[name], ',.0f')}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    servers: list[Server] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        try:
            for server, command in commands(folder).items():
                if isinstance(command, str):
                    print(f"{server}: {command}")
                else:
                    servers.append(Server(server, command))
            figures = measure(servers, options.sizes.split(","), options)
        except BenchError as error:
            print(f"bench/xslt.py: {error}", file=sys.stderr)
            return 1
        finally:
            for running in servers:
                running.running.stop()
        figures["threads"] = threads(folder, options.seconds)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
