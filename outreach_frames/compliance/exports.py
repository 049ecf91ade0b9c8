"""
Erase a person from files that this package exported: CSV, Parquet, DuckDB and Excel, each replaced as a whole.

The manifest of an export gets the new checksum. While a file is replaced it has none, so that a run that was killed is
completed by the next one.
"""

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from outreach_frames._extras import is_installed
from outreach_frames._files import replacing
from outreach_frames._person import ADDRESS_COLUMNS, OWNERS, Erased, Person
from outreach_frames.compliance._databases import erase_from_database, ids_in_database
from outreach_frames.compliance._export_manifests import renewed_entry
from outreach_frames.errors import ExportError
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._person_rows import ErasedCounts, RowErasure, counts_of, ids_of_address

_BOM = b"\xef\xbb\xbf"
_PARTS_OF_WORKBOOKS = re.compile(
    r"\[Content_Types\]\.xml|_rels/\.rels|docProps/(app|core)\.xml|xl/(workbook|styles|sharedStrings|theme/theme\d)\.xml"
    r"|xl/_rels/workbook\.xml\.rels|xl/worksheets/sheet\d+\.xml"
)
"""What exports make; a chart or a comment that somebody added would be lost."""


def listed_files(paths: list[Path]) -> list[Path]:
    """Return files, with those in folders."""
    files = [sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path] for path in paths]
    return [file for part in files for file in part]


def ids_in_export(path: Path, person: Person) -> set[int]:
    """Return the ids of the prospects that a file shows with the address."""
    if path.suffix == ".parquet":
        with parquet.readable(path.name):
            return ids_of_address([path], _table_name(path), person)
    if path.suffix == ".duckdb":
        return ids_in_database(path, person)
    if path.suffix == ".csv":
        file = _read_csv(path)
        return _ids_in_rows(file.head, file.rows, person)
    if path.suffix == ".xlsx" and _is_own_workbook(path):
        sheets = (sheet.iter_rows(values_only=True) for sheet in _read_workbook(path))
        return set().union(*(_ids_in_rows(_texts(next(rows, ())), map(_texts, rows), person) for rows in sheets))
    return set()


def _ids_in_rows(head: Sequence[str], rows: Iterable[Sequence[str]], person: Person) -> set[int]:
    key = "id" if "emails" in head else "prospect_id"
    named = (dict(zip(head, row, strict=False)) for row in rows)
    ids = [
        row.get(key, "") for row in named if any(person.is_in(row.get(name, "")) for name in ADDRESS_COLUMNS.values())
    ]
    return {int(id_) for id_ in ids if id_.isdecimal()}


def erase_from_export(path: Path, person: Person, *, dry_run: bool) -> Erased:
    """
    Take the person out of a file.

    Raises
    ------
    ExportError
        The file cannot be searched, or mentions the person and is of a format that cannot be rewritten.
    OSError
        It cannot be written.
    """
    erase = _ERASE.get(path.suffix)
    if erase is not None and (path.suffix != ".xlsx" or _is_own_workbook(path)):
        counts = erase(path, person, dry_run=True)
        if not dry_run:
            with renewed_entry(path, counts.rows, is_changed=any(counts)):
                if any(counts):
                    erase(path, person, dry_run=False)
    elif any(map(person.is_in, _contents(path))):
        raise ExportError(
            f"{path.name} mentions the person and cannot be rewritten.",
            hint="Export it anew from the snapshot, which does not have the person any more, or delete it.",
        )
    else:
        counts = ErasedCounts(0, 0)
    return Erased(path.name, *counts)


def _erase_parquet(path: Path, person: Person, *, dry_run: bool) -> ErasedCounts:
    with parquet.readable(path.name):
        table = _table_name(path)
        counts = counts_of(path, table, person)
    if any(counts) and not dry_run:
        erasure = RowErasure(table, pq.read_schema(path), person)
        with replacing(path) as stream, parquet.open_writer(stream, erasure.schema) as out:
            for group in parquet.row_groups(path):
                rows = erasure.erased(group)[0].replace_schema_metadata(erasure.schema.metadata)
                out.write_table(rows, row_group_size=parquet.GROUP_ROWS)
    return counts


def _table_name(path: Path) -> str:
    """Return the name of the table that a file has: as it was fetched, or else by the file's own name."""
    return str(parquet.attrs_of(path).get("outreach_frames", {}).get("resource", path.stem))


class _CsvFile(NamedTuple):
    """Content of a CSV file, and how it is written."""

    head: list[str]
    rows: list[list[str]]
    encoding: str
    line_end: str


def _read_csv(path: Path) -> _CsvFile:
    content = path.read_bytes()
    try:
        head, *rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)) or [[]]
    except (UnicodeError, csv.Error) as error:
        raise ExportError(
            f"{path.name} is no CSV file that can be read.", hint="Export it anew, or delete it."
        ) from error
    first = content.partition(b"\n")[0]
    return _CsvFile(
        head, rows, "utf-8-sig" if content.startswith(_BOM) else "utf-8", "\r\n" if first.endswith(b"\r") else "\n"
    )


def _erase_csv(path: Path, person: Person, *, dry_run: bool) -> ErasedCounts:
    file = _read_csv(path)
    others, cells = [], 0
    for row in file.rows:
        if not _is_own(dict(zip(file.head, row, strict=False)), person, path.stem):
            new = [person.replaced(cell) for cell in row]
            cells += sum(one != other for one, other in zip(new, row, strict=True))
            others.append(new)
    counts = ErasedCounts(len(file.rows) - len(others), cells)
    if any(counts) and not dry_run:
        with replacing(path) as stream:
            text = io.TextIOWrapper(stream, encoding=file.encoding, newline="")
            csv.writer(text, lineterminator=file.line_end).writerows([file.head, *others])
            text.detach()
    return counts


def _is_own_workbook(path: Path) -> bool:
    """Whether a workbook can be read, and has nothing but sheets of cells."""
    if not is_installed("openpyxl") or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(map(_PARTS_OF_WORKBOOKS.fullmatch, archive.namelist()))


def _read_workbook(path: Path) -> Any:
    from openpyxl import load_workbook  # noqa: PLC0415  an extra

    try:
        return load_workbook(path)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{path.name} is no workbook that can be read.", hint="Export it anew, or delete it."
        ) from error


def _texts(values: Iterable[Any]) -> list[str]:
    return ["" if value is None else str(value) for value in values]


def _erase_workbook(path: Path, person: Person, *, dry_run: bool) -> ErasedCounts:
    book, rows, cells = _read_workbook(path), 0, 0
    for sheet in book:
        own = []
        head = _texts(cell.value for cell in sheet[1])
        for row in sheet.iter_rows(min_row=2):
            if _is_own(dict(zip(head, _texts(cell.value for cell in row), strict=False)), person, path.stem):
                own.append(row[0].row)
                continue
            for cell in row:
                if isinstance(cell.value, str) and (text := person.replaced(cell.value)) != cell.value:
                    cell.value, cell.data_type = text, "s"  # never a formula
                    cells += 1
        rows += len(own)
        for number in reversed(own):
            sheet.delete_rows(number)
    counts = ErasedCounts(rows, cells)
    if any(counts) and not dry_run:
        with replacing(path) as stream:
            book.save(stream)
    return counts


_ERASE: dict[str, Callable[..., ErasedCounts]] = {
    ".csv": _erase_csv,
    ".duckdb": erase_from_database,
    ".parquet": _erase_parquet,
    ".xlsx": _erase_workbook,
}


def _is_own(row: dict[str, str], person: Person, table: str) -> bool:
    """Whether a row is the person's own record, by its columns' names and the file's."""
    if any(person.is_in(row.get(name, "")) for name in ADDRESS_COLUMNS.values()):
        return True
    if ("emails" in row or table == "prospects") and person.is_id(row.get("id")):
        return True
    return any(
        person.is_id(row.get(f"{owner}_id")) and (owner == "prospect" or row.get(f"{owner}_type") == "prospect")
        for owner in OWNERS
    )


def _contents(path: Path) -> Iterator[bytes]:
    """
    Yield what is in a file of another format: its text, or the files in it where it is an archive, as a workbook is.

    Raises
    ------
    ExportError
        It is neither: what is compressed, or in a database, cannot be searched.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield archive.read(name)
        return
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeError as error:
        raise ExportError(
            f"{path.name} is of a format that cannot be searched.", hint="Export it anew, or delete it."
        ) from error
    yield content
