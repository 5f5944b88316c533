"""Eight small services of a shop, each a WSGI app that answers GET /<product> with JSON. One of them is broken."""

from __future__ import annotations

import json
import os

from wsgikit.middleware.mount import Mount

INSTANCE = os.environ.get("INSTANCE", "1")
PRODUCTS = {"42": "Teapot", "43": "Kettle"}


def service(name, make):
    """A WSGI app that answers with what `make(product)` gives."""

    def app(environ, start_response):
        product = environ["PATH_INFO"].strip("/")
        known = product in PRODUCTS
        answer = {"service": name, "instance": INSTANCE, **make(product)} if known else {"error": "no such product"}
        body = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("200 OK" if known else "404 Not Found", headers)
        return [body]

    return app


def broken(product):
    raise RuntimeError("the model is not trained yet")


SERVICES = {
    "details": lambda product: {"name": PRODUCTS[product], "text": f"A {PRODUCTS[product].lower()} for every day."},
    "merchant": lambda product: {"merchant": "Ada & Sons", "city": "London"},
    "payment": lambda product: {"methods": ["card", "invoice"]},
    "offers": lambda product: {"offers": ["Two for the price of three"]},
    "stock": lambda product: {"left": int(product) % 10},
    "price": lambda product: {"amount": 1900 + int(product), "currency": "EUR"},
    "reviews": lambda product: {"stars": 4.5, "count": 12},
    "recommendations": broken,
}

app = Mount({f"/{name}": service(name, make) for name, make in SERVICES.items()})
