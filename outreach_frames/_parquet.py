"""
Write fetched frames as Parquet files, and read them back unchanged.

Each page has a checksum, which is compared on reading.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from outreach_frames.errors import DataError, OutreachError, SnapshotError

ATTRS = b"PANDAS_ATTRS"
"""Where pandas itself keeps ``attrs`` in a Parquet file."""
CATEGORIES = b"outreach_frames.categories"
"""Where the categories of each pick list are, of which Parquet keeps those that occur."""


def write(frame: pd.DataFrame, stream: IO[bytes]) -> None:
    """
    Write a fetched frame as a Parquet file that anything reads, with a checksum for each page.

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
    pq.write_table(table.replace_schema_metadata(notes), stream, compression="zstd", write_page_checksum=True)


def read(file: Path) -> pd.DataFrame:
    """Read a frame as it was fetched: columns, dtypes, order and ``attrs``; see `readable` for what it can raise."""
    table = pq.read_table(file, partitioning=None, page_checksum_verification=True)
    frame: pd.DataFrame = table.to_pandas(types_mapper=_as_fetched)
    notes = table.schema.metadata or {}
    frame.attrs = msgspec.json.decode(notes.get(ATTRS, b"{}"), type=dict[str, Any])
    picks = msgspec.json.decode(notes.get(CATEGORIES, b"{}"), type=dict[str, list[Any]])
    for pick_list, categories in picks.items():
        frame[pick_list] = frame[pick_list].cat.set_categories(categories)
    return frame


def dataset(file: Path) -> ds.Dataset:
    """Open a file to be read piece by piece; see `readable` for what it can raise."""
    pages = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    form = ds.ParquetFileFormat(default_fragment_scan_options=pages)
    return ds.dataset(str(file), format=form, filesystem=LocalFileSystem())


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


def _as_fetched(kind: pa.DataType) -> pd.ArrowDtype | None:
    """Back a column by Arrow, but a pick list by pandas' own categories."""
    return None if pa.types.is_dictionary(kind) else pd.ArrowDtype(kind)
