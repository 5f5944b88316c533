"""`wsgikit deploy`: write the configuration of what stands before the server, or of what runs it.

Owns the command line. Facts are read by `deploy_site`, texts made by `deploy_fronts` and `deploy_services`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wsgikit.cli.deploy_fronts import FRONTS, WIRES, front
from wsgikit.cli.deploy_services import SERVICES
from wsgikit.cli.deploy_site import read_site
from wsgikit.config.resolve import Config, Sources
from wsgikit.errors import ConfigError

HELP = """Write a configuration for what stands before the server, or runs it.

nginx, apache, lighttpd and haproxy get a site that talks to one of the listeners in wsgikit.toml; systemd, supervisor,
docker and procfile get what starts the server. The text goes to standard output: read it, it is yours.

  wsgikit deploy nginx --listen 80 > /etc/nginx/sites-available/shop
  wsgikit deploy systemd --output /etc/systemd/system/shop.service"""

_ALL_WIRES = ("http", "fastcgi", "scgi", "uwsgi")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the kind and what may differ."""
    parser.add_argument("kind", choices=(*FRONTS, *SERVICES), help="for whom: %(choices)s", metavar="KIND")
    parser.add_argument("--config", metavar="FILE", help="wsgikit.toml or pyproject.toml; as `wsgikit serve` finds it")
    parser.add_argument("--listen", metavar="ADDRESS", default="80", help="where a front listens: 80, 127.0.0.1:8080")
    parser.add_argument("--wire", choices=_ALL_WIRES, default="", help="which listener a front talks to")
    parser.add_argument("--name", default="", help="name of the site; the folder's without it")
    parser.add_argument("--output", metavar="FILE", help="write there; a file that exists stays as it is")


def run(options: argparse.Namespace) -> int:
    """Write it. ConfigError says why not. Returns 0."""
    config = Sources(file=options.config).read()
    wires = WIRES.get(options.kind, _ALL_WIRES)
    wire = options.wire or (_preferred(config) if options.kind in SERVICES else "")
    site = read_site(config, wires=wires, name=options.name, wire=wire)
    text = front(options.kind, site, options.listen) if options.kind in FRONTS else SERVICES[options.kind](site)
    if not options.output:
        sys.stdout.write(text)
        return 0
    try:
        with Path(options.output).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"--output {options.output}: the file exists; move it away first") from None
    except OSError as error:
        raise ConfigError(f"--output {options.output}: {error.strerror}") from None
    return 0


def _preferred(config: Config) -> str:
    """What runs the server is told of its HTTP listener, where it has one."""
    from wsgikit.config import build
    from wsgikit.master.address import parse_address

    schemes = [parse_address(bind.address).scheme for bind in build.bind_settings(config)]
    return "http" if any(scheme.protocol == "http" and not scheme.tls for scheme in schemes) else ""
