"""A connection as a source of the statistics: `outreach_frames.stats` fetches the tables and columns that it reads."""

import pandas as pd

from outreach_frames._fetch.frames import fetch
from outreach_frames.client import Client
from outreach_frames.stats._tables import TableReader, table_reader_of


class _Fetched:
    """Tables of an organization, fetched when they are read."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def columns(self, name: str) -> list[str]:
        kind = self._client.catalog.resource(name)
        attributes = [each.column for each in kind.attributes.values()]
        links = [each.id_column for each in kind.relationships.values() if each.has_data]
        return ["id", *attributes, *links]

    def read(self, name: str, columns: list[str]) -> pd.DataFrame:
        return fetch(self._client, name, fields=[column for column in columns if column != "id"], progress=False)


@table_reader_of.register
def _of_client(source: Client) -> TableReader:
    return _Fetched(source)
