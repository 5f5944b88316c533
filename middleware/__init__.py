"""WSGI middleware: stacks, routing, mounting, and what a site needs every day.

    from wsgikit.middleware import Stack, Use, Compress, RequestId, path

Each module is one middleware and its docstring is its manual page. All of them run on every WSGI server; what is
better under wsgikit's own (limits that count over all workers, files without a thread) the page says. Names are
imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgikit.middleware.access_log import AccessLog as AccessLog
    from wsgikit.middleware.basic_auth import BasicAuth as BasicAuth
    from wsgikit.middleware.body_limit import BodyLimit as BodyLimit
    from wsgikit.middleware.cascade import Cascade as Cascade
    from wsgikit.middleware.cgi_directory import CGIDirectory as CGIDirectory
    from wsgikit.middleware.compress import Compress as Compress
    from wsgikit.middleware.concurrency import Concurrency as Concurrency
    from wsgikit.middleware.conditional import Conditional as Conditional
    from wsgikit.middleware.conditions import header as header
    from wsgikit.middleware.conditions import host as host
    from wsgikit.middleware.conditions import method as method
    from wsgikit.middleware.conditions import path as path
    from wsgikit.middleware.cors import CORS as CORS
    from wsgikit.middleware.error_pages import ErrorPages as ErrorPages
    from wsgikit.middleware.forward import Forward as Forward
    from wsgikit.middleware.health import Health as Health
    from wsgikit.middleware.ip_allow import IpAllow as IpAllow
    from wsgikit.middleware.maintenance import Maintenance as Maintenance
    from wsgikit.middleware.mount import Mount as Mount
    from wsgikit.middleware.mount import MountPoint as MountPoint
    from wsgikit.middleware.profiler import Profiler as Profiler
    from wsgikit.middleware.proxy_headers import ProxyHeaders as ProxyHeaders
    from wsgikit.middleware.rate_limit import RateLimit as RateLimit
    from wsgikit.middleware.request_id import RequestId as RequestId
    from wsgikit.middleware.rewrite import Rewrite as Rewrite
    from wsgikit.middleware.rewrite import RewriteRule as RewriteRule
    from wsgikit.middleware.router import Route as Route
    from wsgikit.middleware.router import Router as Router
    from wsgikit.middleware.security_headers import SecurityHeaders as SecurityHeaders
    from wsgikit.middleware.stack import Stack as Stack
    from wsgikit.middleware.stack import Use as Use
    from wsgikit.middleware.static import Static as Static
    from wsgikit.middleware.status import Status as Status
    from wsgikit.middleware.timing import Timing as Timing
    from wsgikit.middleware.xslt import XSLT as XSLT

# Short names for `[[mount.use]]`; the same as the entry points of the group "wsgikit.middleware" in pyproject.toml.
NAMES: dict[str, str] = {
    "access-log": "wsgikit.middleware.access_log:AccessLog",
    "basic-auth": "wsgikit.middleware.basic_auth:BasicAuth",
    "body-limit": "wsgikit.middleware.body_limit:BodyLimit",
    "cascade": "wsgikit.middleware.cascade:Cascade",
    "cgi-directory": "wsgikit.middleware.cgi_directory:CGIDirectory",
    "compress": "wsgikit.middleware.compress:Compress",
    "concurrency": "wsgikit.middleware.concurrency:Concurrency",
    "conditional": "wsgikit.middleware.conditional:Conditional",
    "cors": "wsgikit.middleware.cors:CORS",
    "error-pages": "wsgikit.middleware.error_pages:ErrorPages",
    "forward": "wsgikit.middleware.forward:Forward",
    "health": "wsgikit.middleware.health:Health",
    "ip-allow": "wsgikit.middleware.ip_allow:IpAllow",
    "maintenance": "wsgikit.middleware.maintenance:Maintenance",
    "profiler": "wsgikit.middleware.profiler:Profiler",
    "proxy-headers": "wsgikit.middleware.proxy_headers:ProxyHeaders",
    "rate-limit": "wsgikit.middleware.rate_limit:RateLimit",
    "request-id": "wsgikit.middleware.request_id:RequestId",
    "rewrite": "wsgikit.middleware.rewrite:Rewrite",
    "security-headers": "wsgikit.middleware.security_headers:SecurityHeaders",
    "static": "wsgikit.middleware.static:Static",
    "status": "wsgikit.middleware.status:Status",
    "timing": "wsgikit.middleware.timing:Timing",
    "xslt": "wsgikit.middleware.xslt:XSLT",
}

_HOMES = {
    "Mount": "wsgikit.middleware.mount",
    "MountPoint": "wsgikit.middleware.mount",
    "RewriteRule": "wsgikit.middleware.rewrite",
    "Route": "wsgikit.middleware.router",
    "Router": "wsgikit.middleware.router",
    "Stack": "wsgikit.middleware.stack",
    "Use": "wsgikit.middleware.stack",
    "header": "wsgikit.middleware.conditions",
    "host": "wsgikit.middleware.conditions",
    "method": "wsgikit.middleware.conditions",
    "path": "wsgikit.middleware.conditions",
    **{value.partition(":")[2]: value.partition(":")[0] for value in NAMES.values()},
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'wsgikit.middleware' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
