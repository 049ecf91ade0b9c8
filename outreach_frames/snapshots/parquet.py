"""
Write fetched frames as Parquet files, whole or row group by row group, and read them back unchanged.

Each page has a checksum, which is compared on reading.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import IO, Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from outreach_frames._files import sync
from outreach_frames.errors import DataError, OutreachError, QueryError, SnapshotError
from outreach_frames.snapshots._manifest import FileFacts, checksum

ATTRS = b"PANDAS_ATTRS"
"""Where pandas itself keeps ``attrs`` in a Parquet file."""
CATEGORIES = b"outreach_frames.categories"
"""Where the categories of each pick list are, of which Parquet keeps those that occur."""

GROUP_ROWS = 25_000
"""Rows of a row group, by whose smallest and largest values a reader skips it [rows]."""


FILE_ROWS = 250_000
"""Rows of one file of a large table [rows]."""


def table_of(frame: pd.DataFrame) -> pa.Table:
    """
    Turn a fetched frame into an Arrow table whose metadata keep ``attrs`` and categories.

    Raises
    ------
    DataError
        A column has no name of its own or no single type.
    """
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (ValueError, TypeError) as error:
        raise DataError("Two columns have the same name, or one holds values of several types.") from error
    # Of pandas' own notes only attrs stay: its dtype names are not all readable to pandas itself (lists), and Arrow's
    # types say the same to everybody.
    notes = {ATTRS: json.dumps(frame.attrs).encode()}
    picks = {name: list(dtype.categories) for name, dtype in frame.dtypes.items() if dtype == "category"}
    if picks:
        notes[CATEGORIES] = json.dumps(picks).encode()
    return table.replace_schema_metadata(notes)


def open_writer(stream: IO[bytes], schema: pa.Schema) -> pq.ParquetWriter:
    """Return what writes tables of one schema to a file, one after another, with a checksum for each page."""
    return pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True)


def write_table(frame: pd.DataFrame, stream: IO[bytes]) -> None:
    """
    Write a fetched frame as a Parquet file that anything reads.

    Raises
    ------
    DataError
        As in `table_of`.
    """
    table = table_of(frame)
    with open_writer(stream, table.schema) as out:
        out.write_table(table, row_group_size=GROUP_ROWS)


def read_files(files: Sequence[Path], *, columns: Sequence[str] | None = None, filters: Any = None) -> pd.DataFrame:
    """
    Read a frame as it was fetched: columns, dtypes, order and ``attrs``; see `readable` for what it can raise.

    Parameters
    ----------
    files
        The files of a table, in the order of their rows.
    columns, filters
        As in `pandas.read_parquet`: the columns to read, and conditions on rows.
    """
    paths = [str(file) for file in files]
    table = pq.read_table(
        paths,
        columns=None if columns is None else list(columns),
        filters=filters,
        partitioning=None,
        page_checksum_verification=True,
        filesystem=LocalFileSystem(),
    )
    frame: pd.DataFrame = table.to_pandas(types_mapper=_as_fetched)
    notes = table.schema.metadata or {}
    frame.attrs.update(_attrs(notes))
    picks = msgspec.json.decode(notes.get(CATEGORIES, b"{}"), type=dict[str, list[Any]])
    for pick_list, categories in picks.items():
        if columns is None or pick_list in columns:
            frame[pick_list] = frame[pick_list].cat.set_categories(categories)
    return frame


def attrs_of(file: Path) -> dict[str, Any]:
    """Read the ``attrs`` of a frame; see `readable` for what it can raise."""
    return _attrs(pq.read_schema(file).metadata or {})


def _attrs(notes: Mapping[bytes, bytes]) -> dict[str, Any]:
    return msgspec.json.decode(notes.get(ATTRS, b"{}"), type=dict[str, Any])


def check_query(file: Path, table: str, columns: Sequence[str] | None, filters: Any) -> None:
    """
    Refuse columns that a table does not have, and conditions that cannot be read.

    Raises
    ------
    QueryError
        There are such; the message names the column.
    """
    with readable(table):
        schema = pq.read_schema(file)
    if isinstance(columns, str):
        raise QueryError(f"columns={columns!r} is one string.", hint=f"Write columns=[{columns!r}].")
    if missing := [name for name in columns or () if name not in schema.names]:
        nearest = get_close_matches(str(missing[0]), schema.names)
        raise QueryError(
            f"The table {table} has no column {missing[0]!r}.",
            hint=f"Did you mean {' or '.join(map(repr, nearest))}?"
            if nearest
            else f"It has: {', '.join(schema.names)}.",
        )
    if filters is None:
        return
    try:
        expression = filters if isinstance(filters, ds.Expression) else pq.filters_to_expression(filters)
        ds.dataset(schema.empty_table()).to_table(filter=expression)
    except (pa.ArrowException, ValueError, TypeError, LookupError) as error:
        raise QueryError(
            f"The filters on {table} cannot be read.",
            hint='Write a list of (column, operator, value), such as [("state", "==", "replied")].',
        ) from error


def dataset(files: Sequence[Path]) -> ds.Dataset:
    """Open the files of a table to be read piece by piece; see `readable` for what it can raise."""
    pages = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    form = ds.ParquetFileFormat(default_fragment_scan_options=pages)
    return ds.dataset([str(file) for file in files], format=form, filesystem=LocalFileSystem())


def agrees(file: Path, facts: FileFacts) -> bool:
    """
    Return whether a file's own metadata say the same as a manifest of its rows and, where they are integers, its ids.

    Raises
    ------
    SnapshotError
        The file cannot be read.
    """
    with readable(facts.path.partition("/")[0]):
        about = pq.read_metadata(file)
        schema = about.schema.to_arrow_schema()
        if about.num_rows != facts.rows or "id" not in schema.names:
            return bool(about.num_rows == facts.rows)
        if not pa.types.is_integer(schema.field("id").type):
            return True
        place = about.schema.names.index("id")
        columns = [about.row_group(number).column(place).statistics for number in range(about.num_row_groups)]
        ends = [(each.min, each.max) for each in columns if each is not None and each.has_min_max]
        first = min((low for low, _ in ends), default=None)
        last = max((high for _, high in ends), default=None)
        return bool(first == facts.first_id and last == facts.last_id)


def row_groups(file: Path) -> Iterator[pa.Table]:
    """Read a file one row group at a time; see `readable` for what it can raise."""
    with pq.ParquetFile(file, page_checksum_verification=True) as opened:
        for number in range(opened.num_row_groups):
            yield opened.read_row_group(number)


def tables(table: str, files: Sequence[Path]) -> Iterator[pa.Table]:
    """
    Read the files of a table one row group at a time, all with the columns of the first file.

    Raises
    ------
    SnapshotError
        A file is damaged.
    """
    with readable(table):
        source = dataset(files)
        for fragment in source.get_fragments():
            for group in fragment.split_by_row_group():
                yield group.to_table(schema=source.schema)


def frames(table: str, files: Sequence[Path]) -> Iterator[pd.DataFrame]:
    """Read the files of a table as the parts of its frame, at least one; raises as `tables` does."""
    parts = tables(table, files)
    first = next(parts, None)
    if first is None:
        with readable(table):
            first = dataset(files).schema.empty_table()
    for rows in chain([first], parts):
        yield rows.to_pandas(types_mapper=_as_fetched)


def has_same_rows(one: Path, other: Path) -> bool:
    """Return whether two files have the same columns and rows, in the same row groups; metadata do not count."""
    with pq.ParquetFile(one) as left, pq.ParquetFile(other) as right:
        return (
            left.schema_arrow.equals(right.schema_arrow)
            and left.num_row_groups == right.num_row_groups
            and left.metadata.num_rows == right.metadata.num_rows
            and all(
                left.read_row_group(number).equals(right.read_row_group(number))
                for number in range(left.num_row_groups)
            )
        )


@contextmanager
def readable(table: str) -> Iterator[None]:
    """Turn what a damaged or foreign file can raise into one error."""
    try:
        yield
    except (OutreachError, ImportError):
        raise
    except (
        pa.ArrowException,
        msgspec.MsgspecError,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        NotImplementedError,
        RecursionError,
        MemoryError,
    ) as error:
        raise SnapshotError(f"The file of table {table} cannot be read.", hint="Take a new snapshot.") from error


class PartFile:
    """
    One file that is being written, row group by row group.

    Parameters
    ----------
    folder, path
        The version's folder, and the file below it. One that exists is replaced when the new one is finished.
    schema
        Columns and metadata.
    """

    def __init__(self, folder: Path, path: str, schema: pa.Schema) -> None:
        self._path = path
        self._file = folder / path
        self._aside = self._file.with_name(f".{self._file.name}")
        self._stream = self._aside.open("wb")
        self._writer: pq.ParquetWriter = open_writer(self._stream, schema)
        self._schema = schema
        self._rows = 0
        self._ids: list[Any] = []
        self._watermark: datetime | None = None

    @property
    def is_full(self) -> bool:
        """Whether it has about as many rows as a file is to have."""
        return self._rows > FILE_ROWS - GROUP_ROWS // 2

    def write(self, rows: pa.Table, watermark: datetime | None) -> None:
        """Write one row group."""
        rows = rows.cast(self._schema) if rows.schema != self._schema else rows
        if not rows.num_rows:
            return
        self._writer.write_table(rows, row_group_size=rows.num_rows)
        if "id" in rows.column_names:
            self._ids += pc.min_max(rows["id"]).as_py().values()
        if watermark is not None:
            self._watermark = watermark if self._watermark is None else min(watermark, self._watermark)
        self._rows += rows.num_rows

    def finish(self) -> FileFacts:
        """Close and sync the file, put it in place and return its facts."""
        self._writer.close()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._aside.replace(self._file)
        ids = [id_ for id_ in self._ids if id_ is not None]
        return FileFacts(
            path=self._path,
            rows=self._rows,
            sha256=checksum.__wrapped__(self._file),
            first_id=min(ids, default=None),
            last_id=max(ids, default=None),
            watermark=self._watermark,
        )

    def abandon(self) -> None:
        """Remove what was written."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        with suppress(OSError):
            self._stream.close()
        with suppress(OSError):
            self._aside.unlink(missing_ok=True)


def link(file: Path, place: Path) -> None:
    """Put a file in a second place: as a hard link, or as a copy where the file system has none."""
    aside = place.with_name(f".link-{place.name}")
    aside.unlink(missing_ok=True)  # of a program that was killed: to copy over it would write to what it shares
    try:
        os.link(file, aside)
    except OSError:
        shutil.copyfile(file, aside)
        sync(aside)
    aside.replace(place)
    with suppress(OSError):  # where the two are one file, it was not renamed
        aside.unlink(missing_ok=True)


def _as_fetched(kind: pa.DataType) -> pd.ArrowDtype | None:
    """Back a column by Arrow, but a pick list by pandas' own categories."""
    return None if pa.types.is_dictionary(kind) else pd.ArrowDtype(kind)
