"""An API gateway: one product out of eight services, in three shapes.

    /                        where to look
    /product/42              a page for people
    /mobile/product/42       as little JSON as a phone needs
    /api/v1/products/42      REST for others, with links
    /services/price/42       a service itself, through the same balancer
    /-/status                what the balancers are doing

A service that fails or is slow takes its own part away and nothing else. Without details there is no product: 404 when
they say so, 503 when they say nothing.
"""

from __future__ import annotations

import html
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor, wait

from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.mount import Mount
from wsgikit.middleware.status import Status

NAMES = ("details", "merchant", "payment", "offers", "stock", "price", "reviews", "recommendations")
BALANCED = ("price", "reviews")  # two instances each
PATIENCE = 1.0  # seconds for all services together
FIRST, SECOND = os.environ["SERVICES"].split()

BALANCERS = {
    name: Balancer(
        [f"{url}/{name}" for url in ((FIRST, SECOND) if name in BALANCED else (FIRST,))],
        name=name,
        balance="round-robin",
        first_byte_timeout=PATIENCE,
        retry={"on": ["connect", "reset", "timeout"]},
        breaker={"requests": 20, "open": "5s"},
    )
    for name in NAMES
}
POOL = ThreadPoolExecutor(4 * len(NAMES))


class NotFound(Exception):
    """A service does not know the product."""


def ask(name, product):
    """What a service says, None when it fails. A balancer is a WSGI app, so that asking it is calling it."""
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": f"/{product}", "QUERY_STRING": "",
        "SERVER_NAME": "gateway", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip
    seen = []
    answer = BALANCERS[name](environ, lambda status, headers, exc_info=None: seen.append(status))
    try:
        body = b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    if seen[-1].startswith("404"):
        raise NotFound
    return json.loads(body) if seen[-1].startswith("200") else None


def collect(product):
    """The answers of all services that answered in time, by name. NotFound: there is no such product."""
    asked = {POOL.submit(ask, name, product): name for name in NAMES}
    done, late = wait(asked, PATIENCE)
    for each in late:
        each.cancel()
    if any(asked[each] == "details" and isinstance(each.exception(), NotFound) for each in done):
        raise NotFound
    found = {asked[each]: each.result() for each in done if each.exception() is None}
    return {name: found[name] for name in NAMES if found.get(name) is not None}


def page(product, parts):
    details = parts["details"]
    lines = [f"<h1>{html.escape(details['name'])}</h1><p>{html.escape(details['text'])}</p>"]
    if "price" in parts:
        lines.append(f"<p>{parts['price']['amount'] / 100:.2f} {html.escape(parts['price']['currency'])}</p>")
    if "stock" in parts:
        lines.append(f"<p>{parts['stock']['left']} left</p>")
    if "merchant" in parts:
        lines.append(f"<p>Sold by {html.escape(parts['merchant']['merchant'])}</p>")
    if "reviews" in parts:
        lines.append(f"<p>{parts['reviews']['stars']} of 5 stars ({parts['reviews']['count']})</p>")
    for offer in parts.get("offers", {}).get("offers", ()):
        lines.append(f"<p>{html.escape(offer)}</p>")
    if "recommendations" not in parts:
        lines.append("<p>No recommendations today.</p>")
    text = "".join(lines)
    return "text/html; charset=utf-8", f"<!doctype html><html lang=en><title>Shop</title>{text}</html>\n"


def mobile(product, parts):
    wanted = {
        "name": parts["details"]["name"],
        "price": parts.get("price", {}).get("amount"),
        "left": parts.get("stock", {}).get("left"),
        "stars": parts.get("reviews", {}).get("stars"),
    }
    return "application/json", json.dumps({key: value for key, value in wanted.items() if value is not None})


def rest(product, parts):
    links = {"self": f"/api/v1/products/{product}", **{name: f"/services/{name}/{product}" for name in NAMES}}
    missing = [name for name in NAMES if name not in parts]
    return "application/json", json.dumps({"id": product, "parts": parts, "missing": missing, "links": links})


def answer(start_response, status, media, text):
    body = text.encode()
    start_response(status, [("Content-Type", media), ("Content-Length", str(len(body)))])
    return [body]


def index(environ, start_response):
    if environ["PATH_INFO"] not in ("", "/"):
        return answer(start_response, "404 Not Found", "text/plain", "nothing here\n")
    places = ("/product/42", "/mobile/product/42", "/api/v1/products/42", "/services/price/42", "/-/status")
    links = "".join(f"<li><a href={place}>{place}</a>" for place in places)
    text = f"<!doctype html><html lang=en><title>Gateway</title><ul>{links}</ul></html>\n"
    return answer(start_response, "200 OK", "text/html; charset=utf-8", text)


def product_app(shape):
    """A WSGI app that answers /<product> in one shape."""

    def app(environ, start_response):
        product = environ["PATH_INFO"].strip("/")
        try:
            parts = collect(product)
        except NotFound:
            return answer(start_response, "404 Not Found", "text/plain", "no such product\n")
        if "details" not in parts:
            return answer(start_response, "503 Service Unavailable", "text/plain", "please try again\n")
        return answer(start_response, "200 OK", *shape(product, parts))

    return app


app = Mount(
    {
        "/": index,
        "/product": product_app(page),
        "/mobile/product": product_app(mobile),
        "/api/v1/products": product_app(rest),
        "/-/status": Status(),
        **{f"/services/{name}": balancer for name, balancer in BALANCERS.items()},
    }
)
