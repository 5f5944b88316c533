"""What runs the server: systemd, supervisor, Docker, a Procfile.

Owns their languages. The facts come from `deploy_site`; each function gives the text of a file.
"""

from __future__ import annotations

import os
import sys

from wsgikit.cli.deploy_site import Site

_LATE = 5  # seconds after our own grace at which a supervisor kills


def systemd(site: Site) -> str:
    """A unit for /etc/systemd/system."""
    runtime = os.path.dirname(site.place) if site.is_unix else ""
    # systemd makes and removes folders directly below /run
    name = os.path.basename(runtime) if os.path.dirname(runtime) == "/run" else ""
    lines = [
        f"# /etc/systemd/system/{site.name}.service",
        f"# Made by `wsgikit deploy systemd`; then: systemctl daemon-reload && systemctl enable --now {site.name}",
        "",
        "[Unit]",
        f"Description={site.name}, served by wsgikit",
        "After=network.target",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={' '.join(site.command)}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        f"WorkingDirectory={site.folder}",
        f"User={site.user or 'www-data'}",
        *([f"RuntimeDirectory={name}", "RuntimeDirectoryMode=0755"] if name else []),
        "KillMode=mixed",
        f"TimeoutStopSec={int(site.graceful) + _LATE}",
        "Restart=on-failure",
        "RestartSec=1",
        "LimitNOFILE=65536",
        "PrivateTmp=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=full",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join([*lines, ""])


def supervisor(site: Site) -> str:
    """A program for /etc/supervisor/conf.d."""
    lines = [
        f"; /etc/supervisor/conf.d/{site.name}.conf",
        "; Made by `wsgikit deploy supervisor`; then: supervisorctl update",
        "",
        f"[program:{site.name}]",
        f"command={' '.join(site.command)}",
        f"directory={site.folder}",
        f"user={site.user or 'www-data'}",
        "autostart=true",
        "autorestart=true",
        "startsecs=2",
        "; wsgikit finishes the requests that are under way, and ends its own workers",
        "stopsignal=TERM",
        f"stopwaitsecs={int(site.graceful) + _LATE}",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile=/var/log/supervisor/{site.name}.log",
    ]
    return "\n".join([*lines, ""])


def docker(site: Site) -> str:
    """A Dockerfile, for the folder of the configuration."""
    file = os.path.basename(site.file)
    port = "8000" if site.is_unix else site.host_port[1]
    scheme = "" if site.wire == "http" else f"{site.wire}://"
    command = ["wsgikit", "serve", "--config", file, "--bind", f"{scheme}0.0.0.0:{port}"] if file else []
    listed = ", ".join(f'"{part}"' for part in command or ["wsgikit", "serve", "--bind", f"{scheme}0.0.0.0:{port}"])
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [
        "# Dockerfile, beside the configuration. Made by `wsgikit deploy docker`",
        f"#   docker build -t {site.name} . && docker run --init -p {port}:{port} {site.name}",
        "# wheels/ holds wsgikit's wheel (`pip wheel --no-deps -w wheels /path/to/wsgikit`): it is not on PyPI.",
        f"FROM python:{python}-slim",
        "WORKDIR /app",
        "COPY wheels wheels",
        "RUN pip install --no-cache-dir wheels/*.whl",
        "COPY . .",
        "RUN if [ -f requirements.txt ]; then pip install --no-cache-dir -r requirements.txt; fi",
        "RUN useradd --system --no-create-home app",
        "USER app",
        f"EXPOSE {port}",
        "STOPSIGNAL SIGTERM",
        f"CMD [{listed}]",
    ]
    return "\n".join([*lines, ""])


def procfile(site: Site) -> str:
    """A Procfile. PORT is the platform's, and what we bind is all its addresses."""
    config = f" --config {os.path.basename(site.file)}" if site.file else ""
    return f"web: wsgikit serve{config} --bind 0.0.0.0:$PORT\n"


SERVICES = {"systemd": systemd, "supervisor": supervisor, "docker": docker, "procfile": procfile}
