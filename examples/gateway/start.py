"""Start everything: `python examples/gateway/start.py [--port 8000]`, then open http://127.0.0.1:8000/.

Two processes with services (the second one has price and reviews again), and the gateway. Ctrl-C ends all of them.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from wsgikit.testing import accepts, free_port, wait_until_accepts

HERE = Path(__file__).parent


def serve(stack, app, port, **environ):
    command = [sys.executable, "-m", "wsgikit", "serve", app, "-b", f"127.0.0.1:{port}", "--pythonpath", str(HERE)]
    command += ["--config", ""]  # whatever lies in the folder that this is started in
    process = stack.enter_context(subprocess.Popen(command, env={**os.environ, **environ}))
    stack.callback(process.terminate)
    return process


def main():
    parser = argparse.ArgumentParser(description="A shop's gateway in front of eight services.")
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    if accepts(("127.0.0.1", port)):
        sys.exit(f"something listens on port {port} already; take another one: --port {port + 1}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ExitStack() as stack:
        ports = free_port(), free_port()
        for number, each in enumerate(ports, 1):
            serve(stack, "services:app", each, INSTANCE=str(number))
        for each in ports:
            if not wait_until_accepts(("127.0.0.1", each), 20):
                sys.exit("a service did not start")
        urls = " ".join(f"http://127.0.0.1:{each}" for each in ports)
        gateway = serve(stack, "gateway:app", port, SERVICES=urls)
        if not wait_until_accepts(("127.0.0.1", port), 20):
            sys.exit("the gateway did not start")
        print(f"http://127.0.0.1:{port}/", flush=True)
        try:
            gateway.wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
