"""The current time, written with Werkzeug."""

from datetime import datetime

from werkzeug.wrappers import Request, Response


@Request.application
def app(request):
    now = datetime.now().astimezone()
    response = Response(f"Werkzeug says: {now:%Y-%m-%d %H:%M:%S %Z}\n", mimetype="text/plain")
    response.cache_control.no_store = True
    return response
