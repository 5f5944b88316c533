"""Start mod_wsgi under Apache for the matrix: `python apache.py HOST PORT FILE DIRECTORY`.

Writes a configuration into DIRECTORY and becomes Apache: one process, eight threads, the app in FILE at the root.
Debian's paths (`apt-get install apache2 libapache2-mod-wsgi-py3`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

BINARY = Path("/usr/sbin/apache2")
MODULES = Path("/usr/lib/apache2/modules")

CONFIGURATION = """
ServerRoot "{directory}"
ServerName probe.example
PidFile "{directory}/apache.pid"
DefaultRuntimeDir "{directory}"
Listen {host}:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
User www-data
Group www-data
ErrorLog /dev/stderr
LogLevel warn
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
MinSpareThreads 1
MaxSpareThreads 8
KeepAlive On
AllowEncodedSlashes On
WSGIChunkedRequest On
WSGIScriptAlias / "{file}"
<Location "/">
    Require all granted
</Location>
"""


def main() -> None:
    host, port, file, directory = sys.argv[1:5]
    os.chmod(directory, 0o755)
    path = Path(directory, "apache.conf")
    values = {"host": host, "port": port, "file": file, "directory": directory, "modules": MODULES}
    path.write_text(CONFIGURATION.format(**values), encoding="utf-8")
    os.execv(BINARY, [str(BINARY), "-D", "FOREGROUND", "-f", str(path)])


if __name__ == "__main__":
    main()
