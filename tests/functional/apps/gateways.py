"""A gateway whose options come as JSON in the environment: GATEWAY = {"to": ...} or {"endpoints": [...]}.

UPSTREAM_PREFIX mounts it there. /-/status is the status page.
"""

from __future__ import annotations

import json
import os

from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.forward import Forward
from wsgikit.middleware.mount import Mount
from wsgikit.middleware.status import Status

options = json.loads(os.environ["GATEWAY"])
gateway = Forward(**options) if "to" in options else Balancer(**options)
app = Mount({os.environ.get("UPSTREAM_PREFIX", "/"): gateway, "/-/status": Status(refresh="500ms")}, dots="pass")
