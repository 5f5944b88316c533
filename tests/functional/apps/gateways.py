"""A gateway whose options come as JSON in the environment: GATEWAY = {"to": ...} or {"endpoints": [...]}.

UPSTREAM_PREFIX mounts it there. /-/status is the status page. /hoard/ reaches it through a layer that keeps all blocks
until the last one, as some do; /strict/ and /strict/outside/ through one that checks PEP 3333.
"""

from __future__ import annotations

import json
import os
from wsgiref.validate import validator

from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.compress import Compress
from wsgikit.middleware.forward import Forward
from wsgikit.middleware.mount import Mount
from wsgikit.middleware.status import Status

options = json.loads(os.environ["GATEWAY"])
gateway = Forward(**options) if "to" in options else Balancer(**options)


def hoard(environ, start_response):
    blocks = gateway(environ, start_response)
    try:
        return [b"".join(blocks)]
    finally:
        blocks.close()


# two that know PEP 3333 alone: the one inside may not be asked for what the one outside does not expect
strict = validator(gateway)
strict_outside = validator(Compress(gateway))

mounts = {os.environ.get("UPSTREAM_PREFIX", "/"): gateway, "/-/status": Status(refresh="500ms"), "/hoard": hoard}
mounts |= {"/strict": strict, "/strict/outside": strict_outside}
app = Mount(mounts, dots="pass")
