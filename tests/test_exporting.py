"""Files that people open: what they show is what the frame holds, and nothing in it runs."""

import csv
import errno
import io
import json
import os
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from openpyxl.utils.escape import unescape

import outreach_frames as of
from outreach_frames._export import write_csv, write_excel
from outreach_frames.errors import DataError, ExportError, MissingExtraError
from tests.snapshot_support import full_after

FORMULA = '=HYPERLINK("http://x.example","open")'


def sheet(frame, **options):
    """Return the only sheet of the workbook that a frame becomes."""
    stream = io.BytesIO()
    write_excel(frame, stream, **options)
    return openpyxl.load_workbook(stream).active


def excel(frame, **options):
    """Return the values of a workbook, without the heading."""
    return [list(row) for row in sheet(frame, **options).iter_rows(min_row=2, values_only=True)]


def lines(frame, **options):
    """Return the rows of a CSV file, without the heading."""
    stream = io.BytesIO()
    write_csv(frame, stream, **options)
    return list(csv.reader(io.StringIO(stream.getvalue().decode("utf-8-sig"), newline="")))[1:]


def one(value, dtype=object):
    return pd.DataFrame({"a": pd.Series([value], dtype=dtype)})


@pytest.fixture(scope="module")
def people():
    person = {"emails": ["a@x.example", "b@x.example"], "title": FORMULA, "createdAt": "2026-07-01T10:00:00.000Z"}
    with of.sandbox(resources=[{"type": "prospect", "id": 1, "attributes": person}]) as org:
        yield of.fetch_prospects(org, fields=["emails", "title", "created_at"])


def test_a_fetched_table_becomes_what_a_person_can_read(people, tmp_path):
    """Two addresses were read as one, the title was a live link, and Excel refused the instant."""
    book = openpyxl.load_workbook(of.export(people, tmp_path / "p.xlsx", timezone="Europe/Berlin")).active
    text = of.export(people, tmp_path / "p.csv", timezone="Europe/Berlin").read_text("utf-8-sig")

    _, emails, title, created = next(book.iter_rows(min_row=2))
    assert json.loads(emails.value) == ["a@x.example", "b@x.example"]
    assert (title.value, title.data_type) == (FORMULA, "s")
    assert (created.value, created.number_format) == (
        datetime(2026, 7, 1, 12),  # noqa: DTZ001  a sheet knows no zones
        'yyyy-mm-dd hh:mm:ss "Europe/Berlin"',
    )
    row = next(csv.DictReader(io.StringIO(text)))
    assert json.loads(row["emails"]) == ["a@x.example", "b@x.example"]
    assert row["title"] == "'" + FORMULA
    assert row["created_at"] == "2026-07-01 12:00:00+02:00"


def test_a_sheet_has_a_frozen_heading_and_columns_as_wide_as_their_text():
    made = sheet(pd.DataFrame({"a_long_name_of_a_column": [1], "b": ["x" * 500], "c": [1]}))

    assert made.freeze_panes == "A2"
    assert made["A1"].font.bold
    widths = [made.column_dimensions[letter].width for letter in "ABC"]
    assert 24 < widths[0] < 30
    assert 59 < widths[1] < 62
    assert 7 < widths[2] < 10


ALARMING = [
    FORMULA,
    "@SUM(A1)",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd()",
    " =1+a()",
    "\t=a()",
    '"=a()"',
    "＝a()",
    "x;=a()",
    "x\n=a()",
]


@pytest.mark.parametrize("text", ALARMING)
def test_text_that_a_spreadsheet_would_run_stays_text(text):
    """In CSV by an apostrophe where a cell, or what another separator makes one, begins."""
    (written,) = lines(one(text))[0]
    cell = sheet(one(text))["A2"]
    (heading,) = next(csv.reader(io.StringIO(exported(pd.DataFrame({text: [1]})), newline="")))

    assert written.count("'") > text.count("'")
    assert written.replace("'", "") == text.replace("'", "")
    assert heading == written
    assert (cell.data_type, cell.quotePrefix) == ("s", True)
    assert cell.value == text


def exported(frame):
    stream = io.BytesIO()
    write_csv(frame, stream)
    return stream.getvalue().decode("utf-8-sig")


@pytest.mark.parametrize(
    "text", ["+49 30 123-45", "-5", "(+1) 555.0100", "-", "+", "a=b", "a-b; c", "O'Neil", "x;-5", "00123"]
)
def test_text_that_runs_nowhere_is_written_as_it_is(text):
    assert lines(one(text)) == [[text]]
    assert excel(one(text)) == [[text]]


@pytest.mark.parametrize("character", ["\0", "\x0b", "\x0c", "\x1b", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_characters_that_no_workbook_holds_do_not_break_it(character):
    """They come from other programs' line breaks; openpyxl and pandas raise."""
    text = f"VP{character}Sales"

    assert excel(one(text)) == lines(one(text)) == [["VP\ufffdSales"]]


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\ufffe\uffff"), min_size=1))
def test_any_text_is_text_and_whole_in_a_workbook(text):
    (cell,) = next(sheet(one(text)).iter_rows(min_row=2))

    assert cell.data_type == "s"
    shown = "".join("\ufffd" if character < " " and character not in "\t\n" else character for character in text)
    assert unescape(cell.value) == shown


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["=", "+", "-", "@", ";", ",", "\t", "\n", " ", '"', "'", "a", "1", "(", "|"]), min_size=1)
)
def test_no_separator_makes_a_formula_of_a_csv_file(parts):
    """A spreadsheet in another country parts cells by semicolons, and knows no quotes inside of one."""
    text = "".join(parts)

    for cell in exported(one(text)).partition("\n")[2].replace("\t", ";").replace("\n", ";").split(";"):
        start = cell.lstrip(' "')
        assert not start.startswith(("=", "@")) or not set(start) - set('=@ 1(,"')
        assert not start.startswith(("+", "-", "=", "@")) or not {"a", "|"} & set(start.split(",")[0])


@pytest.mark.parametrize(
    ("value", "in_csv", "in_excel"),
    [
        (None, "", None),
        (pd.NA, "", None),
        (pd.NaT, "", None),
        (float("nan"), "", None),
        (float("inf"), "inf", "inf"),
        (True, "True", True),
        (np.bool_(False), "False", False),
        (7, "7", 7),
        (np.int64(7), "7", 7),
        (0.25, "0.25", 0.25),
        (Decimal("1.10"), "1.10", 1.1),
        (2**60, "1152921504606846976", "1152921504606846976"),
        (-(10**15), "-1000000000000000", "-1000000000000000"),
        (date(2026, 1, 2), "2026-01-02", datetime(2026, 1, 2)),  # noqa: DTZ001
        (date(1850, 1, 2), "1850-01-02", "1850-01-02"),
        (pd.Timestamp("2026-01-02 03:04:05"), "2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001
        (pd.Timestamp("2026-01-02 03:04:05", tz="UTC"), "2026-01-02 03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001
        (pd.Timestamp("1850-01-02", tz="UTC"), "1850-01-02 00:00:00+00:00", "1850-01-02 00:00:00+00:00"),
        (timedelta(hours=30), "1 day, 6:00:00", timedelta(hours=30)),
        ([], "[]", "[]"),
        (["ä", 'b"'], '["ä", "b\\""]', '["ä", "b\\""]'),
        (np.array([1.5, np.nan]), "[1.5, null]", "[1.5, null]"),
        ({"a": [pd.Timestamp("2026-01-02", tz="UTC"), pd.NA]}, None, None),
        ("#N/A", "#N/A", "#N/A"),
        ("_x0041_", "_x0041_", "_x005F_x0041_"),  # as Excel itself writes it
    ],
    ids=repr,
)
def test_every_kind_of_value_has_its_cell(value, in_csv, in_excel):
    frame = pd.DataFrame({"id": [1], "a": pd.Series([None], dtype=object)})
    frame.at[0, "a"] = value  # noqa: PD008  a list is one value here
    if isinstance(value, dict):
        assert json.loads(lines(frame)[0][1])["a"][1] is None
        return

    assert lines(frame) == [["1", in_csv]]
    assert excel(frame) == [[1, in_excel]]


@pytest.mark.parametrize("value", [["a@x"], ["a@x", None], []])
def test_lists_and_instants_of_arrow_are_as_readable(value):
    frame = pd.DataFrame(
        {
            "emails": pd.array([value, None], dtype=pd.ArrowDtype(pa.list_(pa.string()))),
            "at": pd.array([pd.Timestamp("2026-01-02", tz="UTC"), None], dtype="timestamp[us, tz=UTC][pyarrow]"),
            "pick": pd.Categorical(["=a()", None]),
        }
    )

    assert json.loads(lines(frame)[0][0]) == value
    assert lines(frame)[0][1:] == ["2026-01-02 00:00:00+00:00", "'=a()"]
    assert lines(frame)[1] == ["", "", ""]
    assert excel(frame)[1:] in ([], [[None, None, None]])


def test_instants_keep_apart_where_the_clock_goes_back():
    hours = pd.Series(pd.to_datetime(["2026-10-25T00:30Z", "2026-10-25T01:30Z"]))

    written = [row[0] for row in lines(hours.to_frame("at"), timezone="Europe/Berlin")]
    assert written == ["2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00"]


def test_the_first_and_the_last_instant_do_not_leave_the_calendar():
    ends = pd.Series(["0001-01-01", "9999-12-31T23:59:59"], dtype="timestamp[us, tz=UTC][pyarrow]").to_frame("at")

    assert [row[0][:4] for row in lines(ends, timezone="America/New_York")] == ["0001", "9999"]
    assert len(excel(ends, timezone="Asia/Tokyo")) == 2


def test_a_named_index_is_a_column_and_one_without_a_name_is_none():
    grouped = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"], name="state"))

    assert lines(grouped) == [["a", "1"], ["b", "2"]]
    assert lines(grouped.reset_index().loc[[1]]) == [["b", "2"]]


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame([[1, 2]], columns=["a", "a"])])
def test_empty_frames_and_names_that_come_twice_are_written(frame):
    assert len(lines(frame)) == len(frame)
    assert sheet(frame) is not None


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_the_frame_is_not_changed(people, tmp_path, suffix):
    before = people.copy()

    of.export(people, tmp_path / f"p.{suffix}")

    pd.testing.assert_frame_equal(people, before)


def test_what_does_not_fit_into_a_sheet_is_refused_and_never_cut():
    """Writers cut texts in silence."""
    with pytest.raises(DataError, match="longer than a cell"):
        sheet(one("x" * 32_768))
    with pytest.raises(DataError, match="longer than a cell"):
        sheet(one("😀" * 16_384))
    with pytest.raises(DataError, match="do not fit"):
        sheet(pd.DataFrame({"a": range(1_048_576)}))
    with pytest.raises(DataError, match="do not fit"):
        sheet(pd.DataFrame([range(16_385)]))
    assert excel(one("x" * 32_767)) == [["x" * 32_767]]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "Europe", 7])
def test_a_zone_that_is_none_is_said(zone, people, tmp_path):
    with pytest.raises(DataError, match="no time zone"):
        of.export(people, tmp_path / "p.csv", timezone=zone)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["people", "people.txt", "people.xls"])
def test_a_format_that_is_none_is_said(name, people, tmp_path):
    with pytest.raises(DataError, match="no export"):
        of.export(people, tmp_path / name)


def test_what_is_no_frame_is_said(people, tmp_path):
    with pytest.raises(DataError, match="not a pandas Series"):
        of.export(people["title"], tmp_path / "p.csv")


def test_without_its_extra_excel_is_refused_by_name(people, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)

    with pytest.raises(MissingExtraError) as raised:
        of.export(people, tmp_path / "p.xlsx")
    assert "outreach_frames[excel]" in raised.value.hint


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_a_full_disk_leaves_what_was_there(suffix, tmp_path):
    out = tmp_path / f"p.{suffix}"
    out.write_text("before")

    with full_after(300), pytest.raises(ExportError, match="cannot be written") as raised:
        of.export(pd.DataFrame({"a": range(1_000)}), out)

    assert os.strerror(errno.EFBIG) in str(raised.value)
    assert isinstance(raised.value, OSError)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "before"


def test_a_link_in_the_place_is_replaced_and_not_written_through(people, tmp_path):
    (tmp_path / "theirs.txt").write_text("theirs")
    (tmp_path / "p.csv").symlink_to(tmp_path / "theirs.txt")

    of.export(people, tmp_path / "p.csv")

    assert (tmp_path / "theirs.txt").read_text() == "theirs"
    assert not (tmp_path / "p.csv").is_symlink()


@pytest.mark.parametrize("write", [lines, excel])
def test_days_of_a_numpy_frame_are_days(write):
    """NumPy has no type for them; a time of some row says that a column has instants."""
    days = pd.DataFrame({"day": pd.to_datetime(["2026-01-02", None, "2026-01-03"])})
    instants = pd.DataFrame({"at": pd.to_datetime(["2026-01-02 00:00", None, "2026-01-03 04:05"])})

    shown = [str(row[0]).removesuffix(" 00:00:00") for row in write(days)]

    assert shown in (["2026-01-02", "", "2026-01-03"], ["2026-01-02", "None", "2026-01-03"])
    assert str(write(instants)[0][0]) == "2026-01-02 00:00:00"
    formats = [sheet(frame)["A2"].number_format for frame in (days, instants)]
    assert ["h" in each for each in formats] == [False, True]
