"""
A small library served by Django REST framework JSON:API, from an SQLite file that it makes.

Run as ``python django_library.py FILE``; the last line it writes before serving is its address.
"""

import datetime as dt
import sys
from decimal import Decimal
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_json_api",
        "django_filters",
        "library",
    ],
    JSON_API_FORMAT_FIELD_NAMES="dasherize",
    REST_FRAMEWORK={
        "PAGE_SIZE": 4,
        "EXCEPTION_HANDLER": "rest_framework_json_api.exceptions.exception_handler",
        "DEFAULT_RENDERER_CLASSES": ["rest_framework_json_api.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework_json_api.parsers.JSONParser"],
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
        "DEFAULT_FILTER_BACKENDS": [
            "rest_framework_json_api.filters.QueryParameterValidationFilter",
            "rest_framework_json_api.filters.OrderingFilter",
            "rest_framework_json_api.django_filters.DjangoFilterBackend",
        ],
        "COERCE_DECIMAL_TO_STRING": True,
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402  Django insists on its settings first
from django.db import connection  # noqa: E402
from django.urls import include, path  # noqa: E402
from library.models import Author, Book, Country, Subject  # noqa: E402
from rest_framework.pagination import CursorPagination  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.routers import SimpleRouter  # noqa: E402
from rest_framework_json_api import serializers, views  # noqa: E402
from rest_framework_json_api.pagination import (  # noqa: E402
    JsonApiLimitOffsetPagination,
    JsonApiPageNumberPagination,
)


class CountrySerializer(serializers.ModelSerializer):
    class Meta:
        model = Country
        fields = ["name"]


class AuthorSerializer(serializers.ModelSerializer):
    included_serializers = {"country": CountrySerializer}

    class Meta:
        model = Author
        fields = ["full_name", "born_on", "country"]


class SubjectSerializer(serializers.ModelSerializer):
    class Meta:
        model = Subject
        fields = ["name"]


class BookSerializer(serializers.ModelSerializer):
    included_serializers = {"author": AuthorSerializer, "subjects": SubjectSerializer}

    class Meta:
        model = Book
        fields = [
            *("title", "page_count", "weight", "price", "in_print", "published_at", "extra"),
            *("author", "subjects"),
        ]


class Cursors(CursorPagination):
    """The framework's cursors, with their links where JSON:API has them."""

    ordering = "pk"
    page_size = 4
    cursor_query_param = "page[cursor]"

    def get_paginated_response(self, data):
        return Response({"results": data, "links": {"next": self.get_next_link(), "prev": self.get_previous_link()}})


class Books(views.ReadOnlyModelViewSet):
    queryset = Book.objects.order_by("pk")
    serializer_class = BookSerializer
    pagination_class = JsonApiPageNumberPagination
    ordering_fields = ["title", "page_count"]
    filterset_fields = {
        "id": ["exact", "in"],
        "title": ["exact", "icontains"],
        "page_count": ["exact", "gte", "isnull"],
        "author__country__name": ["exact"],
    }


class BooksByOffset(Books):
    pagination_class = JsonApiLimitOffsetPagination


class BooksByCursor(Books):
    pagination_class = Cursors


class Authors(views.ReadOnlyModelViewSet):
    queryset = Author.objects.order_by("pk")
    serializer_class = AuthorSerializer


def routes(books):
    router = SimpleRouter()
    router.register("books", books)
    router.register("authors", Authors)
    return include(router.urls)


urlpatterns = [
    path("by-number/", routes(Books)),
    path("by-offset/", routes(BooksByOffset)),
    path("by-cursor/", routes(BooksByCursor)),
]


def fill():
    """Make the tables and eleven books, with gaps and odd names."""
    with connection.schema_editor() as editor:
        for model in (Country, Subject, Author, Book):
            editor.create_model(model)
    countries = [Country.objects.create(name=name) for name in ("日本", "Null")]
    authors = [
        Author.objects.create(full_name="紫式部", born_on=None, country=countries[0]),
        Author.objects.create(full_name="O'Brien, Ana", born_on=dt.date(1911, 10, 5), country=countries[1]),
        Author.objects.create(full_name="007", born_on=dt.date(1999, 12, 31), country=None),
    ]
    subjects = [Subject.objects.create(name=name) for name in ("History", "Cookery", "Mathematics")]
    for number in range(1, 12):
        book = Book.objects.create(
            title=["The Third\nPoliceman", "NaN", "源氏物語", "00123"][number % 4] + f" {number}",
            page_count=None if number == 4 else 100 * number,
            weight=None if number % 5 == 0 else number / 8,
            price=None if number == 7 else Decimal(number) + Decimal("0.50"),
            in_print=None if number == 3 else number % 2 == 0,
            published_at=None if number == 6 else dt.datetime(2001, 2, number, 4, 5, 6, 789_000, tzinfo=dt.UTC),
            extra=None if number % 3 == 0 else {"shelf": [number, None]},
            author=None if number == 5 else authors[number % 3],
        )
        book.subjects.set(subjects[: number % 4])


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


if __name__ == "__main__":
    fill()
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201  it is what the tests wait for
        server.serve_forever()
