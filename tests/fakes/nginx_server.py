"""A real nginx for a test: its own folder, one worker, everything on loopback."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from wsgikit.testing import free_port, wait_until_accepts

NGINX = shutil.which("nginx")

_FRAME = """
daemon off; worker_processes 1; master_process off; pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
 access_log off; default_type application/octet-stream; keepalive_requests 1000000; large_client_header_buffers 8 64k;
 client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
 uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_max_body_size 0;
 {blocks}
}}
"""


class Nginx:
    """Serves `blocks` (of the http context), in which {port} and {folder} are replaced."""

    def __init__(self, blocks: str) -> None:
        self._blocks = blocks
        self.port = free_port()
        self.folder = ""

    def __enter__(self) -> Nginx:
        self.folder = tempfile.mkdtemp(prefix="wsgikit-nginx-")
        blocks = self._blocks.replace("{port}", str(self.port)).replace("{folder}", self.folder)
        config = Path(self.folder, "nginx.conf")
        config.write_text(_FRAME.format(folder=self.folder, blocks=blocks))
        self._process = subprocess.Popen(
            [NGINX or "nginx", "-p", self.folder, "-c", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if not wait_until_accepts(("127.0.0.1", self.port), 10):
            self.__exit__()
            raise AssertionError("nginx does not serve")
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
