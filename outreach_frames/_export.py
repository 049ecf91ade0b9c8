"""
Export tables for people, as CSV and Excel files in which text stays text.

One rule for both formats: a list is JSON, an instant is in a named zone, missing is an empty cell, and what a
spreadsheet would take for a formula is text. Programs read Parquet.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd

from outreach_frames._extras import require
from outreach_frames._files import replacing
from outreach_frames._format import type_name
from outreach_frames._frame_kinds import pandas_from
from outreach_frames.errors import DataError, ExportError

EXCEL_ROWS, EXCEL_COLUMNS, EXCEL_CHARACTERS, EXCEL_DIGITS = 1_048_576, 16_384, 32_767, 15
"""What a sheet holds, its heading counted; the longest text of a cell [UTF-16 units]; the digits of a number."""

EXCEL_START = "1900-03-01"
"""Before it, Excel counts a day that never was; earlier dates are text."""

NARROWEST, WIDEST = 8, 60
"""Widths of columns in Excel [characters]."""

SAMPLE = 100
"""Rows that the widths are told by."""

_CHUNK_ROWS = 5_000
"""Rows turned into Python's values at a time."""

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML, and so Excel, cannot hold."""

_FORMULA = re.compile(r"""(\A|[;\t\r\n])(?=[\s"]*[=+\-@＝＋－＠])(?![\s\d()+\-.,/]*\Z)""")
"""
Where a spreadsheet that reads CSV would see a formula start: at the front, and behind what it may take for the end of
a cell. Numbers, also of telephones, are none.
"""


def export(frame: pd.DataFrame, file: str | Path, *, timezone: str = "UTC") -> Path:
    """
    Write a frame as a file that people open: ``.csv`` or ``.xlsx``.

    Parameters
    ----------
    frame
        A fetched table, or any other of pandas, polars or PyArrow. An index is a column if it has a name.
    file
        The file, by whose ending the format is told; replaced only when the new one is whole.
    timezone
        Zone that instants are shown in, such as ``"Europe/Berlin"``. In CSV they carry their offset; in Excel they are
        dates, with the zone beside the time.

    Returns
    -------
    file : Path
        The file written.

    Raises
    ------
    DataError
        There is no such format or zone, or the frame does not fit into a sheet: nothing is cut off.
    ExportError
        The file cannot be written, or the disk is full.
    MissingExtraError
        Excel files need ``pip install "outreach_frames[excel]"``.

    Notes
    -----
    Lists and records are JSON. Characters that a workbook cannot hold become U+FFFD. Integers of more than 15
    digits are text in Excel, which would round them. CSV has no types: text that a spreadsheet would run gets an
    apostrophe before it (telephone numbers do not), and what looks like a number may be read as one.

    Examples
    --------
    >>> of.export(prospects, folder / "prospects.csv", timezone="Europe/Berlin").name
    'prospects.csv'
    >>> of.export(prospects, folder / "prospects.doc")
    Traceback (most recent call last):
        ...
    outreach_frames.errors.DataError: There is no export to .doc.
    Hint: ...
    """
    frame = pandas_from(frame)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"export takes a frame, not {type_name(frame)}.", hint="One record: record.to_frame().")
    out = Path(file)
    write = writer(out.suffix)
    try:
        with replacing(out) as stream:
            write(frame, stream, timezone)
    except OSError as error:
        raise ExportError(f"{out.name} cannot be written: {error.strerror or error}.") from error
    return out


def writer(suffix: str) -> Callable[..., None]:
    """
    Return what writes a format, ready to be used.

    Raises
    ------
    DataError
        There is no such format.
    ExportError
        Excel needs XlsxWriter, an extra.
    """
    if suffix == ".csv":
        return write_csv
    if suffix != ".xlsx":
        raise DataError(f"There is no export to {suffix or 'a file without ending'}.", hint="Write .csv or .xlsx.")
    require("excel", "Excel files", "xlsxwriter")
    return write_excel


def write_csv(frame: pd.DataFrame | Iterable[pd.DataFrame], stream: IO[bytes], timezone: str = "UTC") -> None:
    """Write a frame, or its parts, as CSV: UTF-8 that Excel recognizes, and no text that a spreadsheet would run."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    lines = csv.writer(text, lineterminator="\n")
    for row in _rows(_parts(frame), zone_of(timezone)):
        lines.writerow([_FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else cell for cell in row])
    text.detach()  # or it would close the stream


def write_excel(frame: pd.DataFrame | Iterable[pd.DataFrame], stream: IO[bytes], timezone: str = "UTC") -> None:
    """
    Write a frame, or its parts, as a workbook of one sheet.

    It has a frozen heading, columns as wide as their text, and cells of their own type.
    """
    from xlsxwriter import Workbook  # noqa: PLC0415  an extra
    from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415

    zone = zone_of(timezone)
    parts = _fitting(_parts(frame))
    first = next(parts)
    with TemporaryDirectory() as folder:
        book = Workbook(stream, {"constant_memory": True, "tmpdir": folder})
        sheet = _Sheet(book, timezone)
        try:
            for place, column in enumerate(zip(*_rows([first.head(SAMPLE)], zone), strict=True)):
                sheet.set_width(place, max(len(str(value)) for value in column))
            for number, row in enumerate(_rows(chain([first], parts), zone)):
                for place, value in enumerate(row):
                    sheet.write(number, place, value)
            book.close()
        except FileCreateError as error:
            raise OSError(*error.args[0].args) from error
        finally:
            sheet.close()


class _Sheet:
    """A sheet of Excel, each of whose cells is of the value's own type."""

    def __init__(self, book: Any, timezone: str) -> None:
        self._sheet = book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        clock = "yyyy-mm-dd hh:mm:ss"
        self._instant = book.add_format({"num_format": f'{clock} "{timezone}"'})
        self._local = book.add_format({"num_format": clock})
        self._day = book.add_format({"num_format": "yyyy-mm-dd"})
        self._hours = book.add_format({"num_format": "[h]:mm:ss"})
        self._text = book.add_format({"quote_prefix": True})  # or = makes it a formula once somebody edits the cell
        self._heading = book.add_format({"quote_prefix": True, "bold": True})

    def set_width(self, place: int, longest: int) -> None:
        """Make a column as wide as its longest text [characters]."""
        self._sheet.set_column(place, place, min(max(longest + 2, NARROWEST), WIDEST))

    def close(self) -> None:
        """Close the file that rows wait in, which XlsxWriter leaves open when it fails."""
        with suppress(OSError):
            self._sheet.row_data_fh.close()

    def write(self, row: int, place: int, value: Any) -> None:
        """Write one cell; nothing where the value is missing."""
        at = (row, place)
        if isinstance(value, bool):
            self._sheet.write_boolean(*at, value)
        elif isinstance(value, float) or (isinstance(value, int | Decimal) and _digits(value) <= EXCEL_DIGITS):
            self._sheet.write_number(*at, value)
        elif isinstance(value, datetime) and value.isoformat() >= EXCEL_START:
            form = self._instant if value.tzinfo else self._local
            self._sheet.write_datetime(*at, value.replace(tzinfo=None), form)
        elif type(value) is date and value.isoformat() >= EXCEL_START:
            self._sheet.write_datetime(*at, value, self._day)
        elif isinstance(value, timedelta) and value >= timedelta():
            self._sheet.write_datetime(*at, value, self._hours)
        elif value is not None:
            self._write_text(*at, str(value))

    def _write_text(self, row: int, place: int, text: str) -> None:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text.encode("utf-16-le")) > 2 * EXCEL_CHARACTERS:
            raise DataError(
                f"The text in row {row} of column {place + 1} is longer than a cell of Excel.",
                hint=f"Excel takes {EXCEL_CHARACTERS:,} characters; leave the column out, or write .csv.",
            )
        self._sheet.write_string(row, place, text, self._text if row else self._heading)


def _digits(number: int | Decimal) -> int:
    return sum(map(str.isdigit, str(number)))


def check_sheet(rows: int, columns: int, what: str = "") -> None:
    """
    Refuse what a sheet of Excel cannot hold.

    Raises
    ------
    DataError
        There are too many rows or columns; `what` names the table in the message.
    """
    if rows >= EXCEL_ROWS or columns > EXCEL_COLUMNS:
        raise DataError(
            f"{what}{rows:,} rows and {columns:,} columns do not fit into a sheet.",
            hint=f"Excel takes {EXCEL_ROWS - 1:,} rows and {EXCEL_COLUMNS:,} columns; write CSV.",
        )


def _parts(frame: pd.DataFrame | Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
    return [frame] if isinstance(frame, pd.DataFrame) else frame


def _fitting(parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield parts as long as all of them together fit into a sheet."""
    rows = 0
    for part in parts:
        rows += len(part)
        check_sheet(rows, len(part.columns))
        yield part


def _rows(parts: Iterable[pd.DataFrame], zone: ZoneInfo) -> Iterator[Sequence[Any]]:
    """Yield the heading and then each row: texts, numbers, truth values, dates, instants in the zone, or None."""
    for number, each in enumerate(parts):
        has_names = any(name is not None for name in each.index.names)
        frame = each.reset_index(allow_duplicates=True) if has_names else each
        if not number:
            yield [_clean_text(str(name)) for name in frame.columns]
        days = {place for place in range(frame.shape[1]) if _holds_days(frame.iloc[:, place])}
        for start in range(0, len(frame), _CHUNK_ROWS):
            part = frame.iloc[start : start + _CHUNK_ROWS]
            columns = [part.iloc[:, place] for place in range(part.shape[1])]
            cells = (_values(column, zone, is_day=place in days) for place, column in enumerate(columns))
            yield from zip(*cells, strict=True)


def _holds_days(column: "pd.Series[Any]") -> bool:
    """Whether a column of times without a zone holds midnights only: NumPy has no type for days."""
    if not isinstance(column.dtype, np.dtype) or column.dtype.kind != "M":
        return False
    return bool((column.isna() | (column == column.dt.normalize())).all())


def _values(column: "pd.Series[Any]", zone: ZoneInfo, *, is_day: bool) -> list[Any]:
    cells = zip(column.astype(object), column.isna(), strict=True)
    return [None if missing else value.date() if is_day else _value(value, zone) for value, missing in cells]


def _value(value: Any, zone: ZoneInfo) -> Any:
    """Return a value that is there as one of Python's own that both formats know."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, datetime):
        return _in_zone(value, zone)
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, int | float | Decimal | date | time | timedelta):
        return value
    if pd.api.types.is_list_like(value):
        return _clean_text(_cell_json(value))
    return _clean_text(str(value))


def _in_zone(instant: datetime, zone: ZoneInfo) -> datetime:
    if isinstance(instant, pd.Timestamp):
        instant = instant.to_pydatetime(warn=False)
    try:
        return instant.astimezone(zone) if instant.tzinfo else instant
    except OverflowError:  # at the ends of the calendar; its offset tells
        return instant


def _clean_text(text: str) -> str:
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def _cell_json(value: Any) -> str:
    """Write a list or a record as JSON; as Python does where it holds what JSON cannot."""
    try:
        return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=0).decode()
    except (TypeError, ValueError):
        return str(value)


def _plain(value: Any) -> Any:
    """Return what JSON has for a value of NumPy or pandas."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return None if value is pd.NA or value is pd.NaT else str(value)


def zone_of(name: str) -> ZoneInfo:
    """
    Return a time zone.

    Raises
    ------
    DataError
        There is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError, TypeError) as error:
        raise DataError(f"There is no time zone {name!r}.", hint='Write a name such as "Europe/Berlin".') from error
