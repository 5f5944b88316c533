"""Mount: many apps on one server, by host and path.

    from wsgikit.middleware.mount import Mount, MountPoint

    site = Mount({
        "/": home,
        "/blog": blog,                       # /blog and everything below it; SCRIPT_NAME is "/blog" there
        "shop.example/": shop,               # a host: exact, "*.shop.example", with or without ":port"
        "shop.example/intern": intern,
    })
    site.add("/wiki", wiki)                  # while it serves; also replace(), remove(), swap()

In wsgikit.toml that is one `[[mount]]` a place, on the command line `wsgikit serve --mount /blog=blog:app
--mount shop.example/=shop:app`.

**Which app**: the nearest host (exact, then the longest `*.suffix`, then any), and in it the longest path by whole
segments: `/blog` takes `/blog` and `/blog/x`, never `/blogs`. A host whose mounts do not know the path gives way to the
next. What is mounted nowhere goes to `default`, or gets a 404 that says nothing of what there is. HTTP/1.0 without Host
gets the mounts of any host.

**What the app sees**: a copy of the environ, with the mount moved from PATH_INFO to SCRIPT_NAME, so that the URLs it
builds are right; the root mount's SCRIPT_NAME is "". `/api/` in the table is `/api`. `strip=False` leaves the path
alone. Mount points are text and may be any UTF-8. The mount's name goes into `environ["wsgikit.log"]["mount"]`.

**Nothing escapes a mount**: `.` and `..` in a path, escaped or not, with a parameter (`..;x`) or behind a backslash,
get 400 (`dots="reject"`), are resolved before the app is chosen ("normalise"), or are let through ("pass"). `//` is let
through (`slashes="pass"`, as apps may give a meaning to it), made `/` ("merge") or gets 400 ("reject"). A path that was
cleaned has a `wsgikit.raw_target` to match.

**Apps that fail**, from a file. One app alone ends the start. One of several answers 503, its traceback is in the log
(`wsgikit.mount`), its neighbours are served, and the import is tried again ten seconds later;
`on_import_error = "stop"` ends the start instead. A reload (HUP) makes nothing worse: when an app fails that did not
fail before, it is refused and logged, and the running workers stay. `lazy = true` imports at the first request, and is
about none of this.

**Worker groups**: a mount with `group` forwards the request as it came to the group's own workers.

**Streaming**: the app's iterable is handed on as it is. On wsgikit's server `body = "stream"` lets the app of a mount
read request bodies as they arrive, `body = "spool"` has them read before it runs; what is forwarded is streamed unless
the mount says so. **On other servers** everything else is the same.
"""

from __future__ import annotations

from wsgikit.middleware.mount.app import Mount
from wsgikit.middleware.mount.deferred import Deferred
from wsgikit.middleware.mount.points import MountPoint, parse_mount

__all__ = ["Deferred", "Mount", "MountPoint", "parse_mount"]
