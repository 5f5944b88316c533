"""The app of the vector tests: behaves as a file says, and keeps an account of its calls in another.

`VECTOR_DIR/behaviour.json` is read at each call; each call adds a line to `VECTOR_DIR/calls.jsonl` when it is closed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FOLDER = Path(os.environ["VECTOR_DIR"])


class Body:
    def __init__(self, blocks, account):
        self.blocks = blocks
        self.account = account

    def __iter__(self):
        return iter(self.blocks)

    def close(self):
        self.account["closed"] = self.account.get("closed", 0) + 1
        with open(FOLDER / "calls.jsonl", "a") as file:
            file.write(json.dumps(self.account) + "\n")


def app(environ, start_response):
    behaviour = json.loads((FOLDER / "behaviour.json").read_text())
    account = {"environ": {key: value for key, value in environ.items() if isinstance(value, str)}, "error": ""}
    follow_up = environ["PATH_INFO"] == "/follow-up"
    body = b""
    if behaviour["reads"] or follow_up:
        try:
            while block := environ["wsgi.input"].read(65536):
                body += block
        except Exception as error:
            account["error"] = repr(error)
            Body((), account).close()
            raise
    account["body"] = body.decode("latin-1")
    blocks = [b"ok"] if follow_up else [block.encode("latin-1") for block in behaviour["blocks"]]
    headers = [("Content-Type", "text/plain")]
    if behaviour["length"] and not follow_up:
        headers.append(("Content-Length", str(sum(map(len, blocks)))))
    start_response("200 OK" if follow_up else behaviour["status"], headers)
    return Body((block for block in blocks) if len(blocks) > 1 else blocks, account)
