"""The shop's prices are XML; browsers get them as a page, programs get the XML.

wsgikit serve examples.stacks.xslt:app
curl -s -H 'Accept: text/html' http://127.0.0.1:8000/prices.xml
curl -s http://127.0.0.1:8000/prices.xml?format=xml
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from examples.stacks.shop import Start, shop, text
from wsgikit.middleware import XSLT, Stack, Use

PRICES = "<prices><price of='Tea'>40 pence</price><price of='Coffee'>50 pence</price></prices>"


def prices(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    if environ.get("PATH_INFO") == "/prices.xml":
        return text(environ, start_response, "200 OK", PRICES, "application/xml")
    return shop(environ, start_response)


app = Stack(
    prices,
    [Use(XSLT, stylesheet=str(Path(__file__).with_name("prices.xsl")))],
)
