"""The state of all balancers as one HTML page that refreshes itself: no file from elsewhere, no cookie, little script.

Owns the look, in light and dark, from phone to desktop. Everything shown is escaped. Without script a meta refresh
does the same.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1b1f24;--soft:#5b6470;--line:#dfe3e8;--up:#1a7f4b;
--warm:#9a6700;--bad:#c4302b;--calm:#4a5b8c;--area:#3b82c433;--stroke:#2f6fae}
@media(prefers-color-scheme:dark){:root{--back:#12151a;--card:#1b2027;--text:#e6e9ee;--soft:#98a2b0;--line:#2c333d;
--up:#4cc38a;--warm:#e2b340;--bad:#ff7b72;--calm:#9fb3f0;--area:#5aa6e633;--stroke:#6db3ee}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.45 system-ui,sans-serif}
header,main{max-width:75rem;margin:0 auto;padding:1rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;padding-bottom:0}
h1{font-size:1.25rem;margin:0}
h2{font-size:1.05rem;margin:0;overflow-wrap:anywhere}
.soft{color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin:0 0 1rem;padding:1rem}
.title{display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:baseline;margin-bottom:.5rem}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th{font-weight:500;color:var(--soft);font-size:.8rem;text-align:right;padding:.3rem .5rem;white-space:nowrap}
td{text-align:right;padding:.45rem .5rem;border-top:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}
td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:11rem}
td:last-child,th:last-child{padding-right:0}
.state{font-weight:600}
.up{color:var(--up)}.warming,.degraded{color:var(--warm)}.down,.ejected{color:var(--bad)}
.backup,.draining{color:var(--calm)}
.tag{font-size:.8rem;color:var(--soft);border:1px solid var(--line);border-radius:.4rem;padding:0 .35rem;
white-space:nowrap}
svg{display:block;margin-left:auto}
svg path.a{fill:var(--area)}svg path.l{fill:none;stroke:var(--stroke);stroke-width:1.5}
.error{color:var(--bad)}
@media(max-width:50rem){
header,main{padding:.75rem}
thead{display:none}
tr{display:grid;grid-template-columns:repeat(4,1fr);gap:.35rem .75rem;padding:.75rem 0;border-top:1px solid var(--line)}
tbody tr:first-child{border-top:0}
td{display:block;border:0;padding:0;text-align:left}
td:first-child{grid-column:1/-1;min-width:0}
td:last-child{grid-column:1/-1}
td[data-name]::before{content:attr(data-name);display:block;color:var(--soft);font-size:.75rem}
svg{margin:0;width:100%}
}
"""
_SCRIPT = """
(function(){
var every=+document.body.dataset.every,note=document.getElementById("note");
function again(){setTimeout(load,every)}
function load(){
 if(document.hidden){again();return}
 fetch(location.href,{headers:{Accept:"text/html"},cache:"no-store"}).then(function(answer){
  if(!answer.ok)throw new Error("status "+answer.status);
  return answer.text()
 }).then(function(text){
  var main=new DOMParser().parseFromString(text,"text/html").querySelector("main");
  document.querySelector("main").replaceWith(main);note.textContent="";
 }).catch(function(){note.textContent="no answer; trying again"}).then(again)
}
again()
})();
"""


def policy() -> str:
    """The Content-Security-Policy: this style, this script, nothing else."""
    style, script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") for text in (_STYLE, _SCRIPT)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page(snapshot: dict[str, Any], prefix: str, refresh: float) -> str:
    """The whole page. `prefix`: where it is mounted (SCRIPT_NAME)."""
    here = escape(prefix.encode("latin-1").decode("utf-8", "replace"), quote=True)
    sections = "".join(_section(upstream) for upstream in snapshot["upstreams"])
    if not sections:
        sections = "<section>No upstream is in use in this process.</section>"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Upstreams</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<noscript><meta http-equiv="refresh" content="{max(1, round(refresh))}"></noscript>'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style>'
        f'<body data-every="{round(refresh * 1000)}"><header><h1>Upstreams</h1>'
        f'<span class="soft"><a href="{here}/json">JSON</a> · <a href="{here}/metrics">Prometheus</a></span>'
        f'<span id="note" class="error" role="status"></span></header>'
        f"<main>{sections}</main><script>{_SCRIPT}</script></body></html>\n"
    )


def _section(upstream: dict[str, Any]) -> str:
    breaker = upstream.get("breaker")
    tags = f'<span class="tag">{escape(upstream["balance"])}</span>'
    if breaker:
        text = f"breaker open, {breaker['tries_again_in']:g} s left" if breaker["open"] else "breaker closed"
        tags += f'<span class="tag{" error" if breaker["open"] else ""}">{text}</span>'
    top = max((max(endpoint["history"]) for endpoint in upstream["endpoints"]), default=0)
    rows = "".join(_row(endpoint, top) for endpoint in upstream["endpoints"])
    names = ("Endpoint", "In flight", "Requests", "Errors", "Retries", "p50", "p90", "p99", "Last 5 minutes")
    head = "".join(f"<th>{name}</th>" for name in names)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return (
        f'<section><div class="title"><h2>{escape(upstream["name"])}</h2>{_word(upstream["state"])}{tags}</div>'
        f"{table if rows else '<p>No endpoint is known yet.</p>'}</section>"
    )


def _row(endpoint: dict[str, Any], top: int) -> str:
    tags = [f"weight {endpoint['weight']}"] if endpoint["weight"] != 1 else []
    tags += [f"lane {endpoint['lane']}"] if endpoint["lane"] else []
    marks = "".join(f' <span class="tag">{escape(tag)}</span>' for tag in tags)
    why = f' <span class="soft">{escape(endpoint["why"])}</span>' if endpoint["why"] else ""
    limit = f' <span class="soft">/ {endpoint["max_connections"]}</span>' if endpoint["max_connections"] else ""
    errors = endpoint["failures"] + endpoint["server_errors"]
    latency = endpoint["latency"]
    cells = [
        f"<td>{escape(endpoint['url'])}{marks}<br>{_word(endpoint['state'])}{why}</td>",
        _cell("In flight", f"{endpoint['in_flight']}{limit}"),
        _cell("Requests", f"{endpoint['requests']:,}"),
        _cell("Errors", f'<span class="error">{errors:,}</span>' if errors else "0"),
        _cell("Retries", f"{endpoint['retries']:,}"),
        *(_cell(name, _time(latency[name])) for name in ("p50", "p90", "p99")),
        _cell("Last 5 minutes", _sparkline(endpoint["history"], top)),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(name: str, html: str) -> str:
    return f'<td data-name="{name}">{html}</td>'


def _word(state: str) -> str:
    return f'<span class="state {escape(state)}">{escape(state)}</span>'


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "&ndash;"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _sparkline(history: Sequence[int], top: int) -> str:
    """Requests over the last minutes, all of an upstream to one scale."""
    width, height = 150, 32
    step = width / max(len(history) - 1, 1)
    scale = (height - 2) / (top or 1)
    line = " L".join(f"{place * step:.1f},{height - 1 - count * scale:.1f}" for place, count in enumerate(history))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" preserveAspectRatio="none" '
        f'aria-label="{sum(history):,} requests"><path class="a" d="M0,{height} L{line} L{width},{height} Z"/>'
        f'<path class="l" d="M{line}" vector-effect="non-scaling-stroke"/></svg>'
    )
