"""A name and a password for everything under /upload. The password of ada is "tea".

wsgikit serve examples.stacks.basic_auth:app
curl -si -u ada:tea --data-binary @README.md http://127.0.0.1:8000/upload
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import BasicAuth, Stack, Use, path

# python -c "from werkzeug.security import generate_password_hash as h; print(h('tea'))"
PASSWORD = "pbkdf2:sha256:600000$byfXV2xDVkUW4Y2C$55b1d3066d5d5d7766b563ae6cda555df87e33effd07bdec32a129165d12f26a"

app = Stack(
    shop,
    [Use(BasicAuth, users={"ada": PASSWORD}, realm="Staff", when=path("/upload"))],
)
