"""The current time, written with WebOb."""

from datetime import datetime

from webob import Response
from webob.dec import wsgify


@wsgify
def app(request):
    now = datetime.now().astimezone()
    return Response(f"WebOb says: {now:%Y-%m-%d %H:%M:%S %Z}\n", content_type="text/plain", cache_control="no-store")
