"""A Django site in one file that knows nothing of where it is mounted."""

from __future__ import annotations

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="an example has no secrets",
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)


def hello(request: HttpRequest, name: str) -> HttpResponse:
    """Answer with a link to itself."""
    return HttpResponse(f"django: hello {name}\n{reverse('hello', args=[name])}\n", content_type="text/plain")


def folder(request: HttpRequest) -> HttpResponse:
    """/folder is redirected here by CommonMiddleware."""
    return HttpResponse("django: folder\n", content_type="text/plain")


urlpatterns = [path("hello/<str:name>", hello, name="hello"), path("folder/", folder)]


def create() -> WSGIHandler:
    """The WSGI app."""
    import django

    django.setup()
    return WSGIHandler()
