"""A command for `check server`: our server on a wire, and a web server from the system in front of it.

    python behind_a_front.py nginx-uwsgi.conf PORT MODULE:APP [option of serve ...]

The file is one of examples/deploy. Runs in the foreground until TERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from web_fronts import WIRES, Front, copy_for_scripts, programs, starts_programs

from wsgikit.testing import ServerProcess

# The examples mount a program below /shop; the checker asks for paths below /.
AT_ROOT = {
    'ScriptAlias "/shop" "{folder}/cgi-bin/shop.cgi"': 'ScriptAlias "/" "{folder}/cgi-bin/shop.cgi/"',
    '"/shop" => "{folder}/cgi-bin/shop.cgi"': '"/" => "{folder}/cgi-bin/shop.cgi/"',
    '"^/shop(/|$)"': '"^"',
    'Alias "/shop" "{folder}/programs/shop.fcgi"': 'Alias "/" "{folder}/programs/shop.fcgi/"',
}


class RootFront(Front):
    def text(self) -> str:
        text = super().text()
        for old, new in AT_ROOT.items():
            text = text.replace(old.format(folder=self.folder), new.format(folder=self.folder))
        return text


def main(file: str, port: int, app: str, *options: str) -> None:
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    if starts_programs(file):
        with RootFront(file, {}, scripts=programs(file, app), port=port) as front:
            # the probe stands first on the path that the checker has given us
            copy_for_scripts(front.folder, Path(os.environ["PYTHONPATH"].split(os.pathsep)[0], app.partition(":")[0]))
            done.wait()
        return
    wire = next(each for each in WIRES if f"-{each}." in file)
    bind = ["--bind", f"{wire}://{{host}}:{{port}}", "--config", ""]
    trust = ["--forwarded-allow-ips", "127.0.0.1"] if wire == "http" else []
    with ServerProcess([sys.executable, "-m", "wsgikit", "serve", app, *bind, *trust, *options]) as server:
        with Front(file, {wire: server.port}, port=port):
            done.wait()
        print(server.output, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
