"""JSON:API servers by other people, each in a process of its own over an SQLite file that it filled."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.background_process import serving

HERE = Path(__file__).parent


class Library:
    """
    A running server.

    Attributes
    ----------
    url
        Base of its paths.
    """

    def __init__(self, url: str, database: Path) -> None:
        self.url = url
        self._database = database

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask its database itself."""
        with closing(sqlite3.connect(self._database)) as connection:
            return connection.execute(query).fetchall()


def _library(program: str, folder: Path) -> Iterator[Library]:
    database = folder / "library.sqlite"
    with serving([sys.executable, str(HERE / program), str(database)], r"(http://127\.0\.0\.1:\S+)") as url:
        yield Library(url, database)


@pytest.fixture(scope="session")
def django_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Return books served by Django REST framework JSON:API."""
    yield from _library("django_library.py", tmp_path_factory.mktemp("django"))


@pytest.fixture(scope="session")
def safrs_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Return books served by safrs."""
    yield from _library("safrs_library.py", tmp_path_factory.mktemp("safrs"))
