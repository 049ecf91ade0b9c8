"""Small tables for the tests of the statistics on pandas frames, typed as fetch() types them."""

from typing import Any

import pandas as pd
import pyarrow as pa
from stats_frames import AS_OF, MAILING_COLUMNS, ORACLE

FLAGS = {
    *["enabled", "is_closed", "opted_out", "request_proxied", "send_disabled", "sync_disabled", "transactional"],
    *["track_opens", "track_links"],
}
WHOLE = {
    *("amount", "duration_in_days", "interval", "max_mailings_per_day", "order"),
    *("num_contacted_prospects", "num_replied_prospects"),
}

EMPTY = {
    "opportunities": {"amount_precise": None, "currency_type": None, "external_created_at": None, "trashed_at": None},
    "opportunity_prospect_roles": {},
    "sequences": {"transactional": None},
    "prospects": {"opted_out_at": None, "opted_out": None},
}
"""Columns that the API has and the worked example leaves out."""


def frame(rows: list[dict[str, Any]], *columns: str) -> pd.DataFrame:
    """Make an Arrow-backed frame of rows; what a row does not name is missing."""
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    return pd.DataFrame({name: _column(name, [row.get(name) for row in rows]) for name in names})


def _column(name: str, values: list[Any]) -> "pd.Series[Any]":
    array = pa.array([_plain(name, value) for value in values], _kind(name))
    return pd.Series(array, dtype=pd.ArrowDtype(array.type))


def _kind(name: str) -> Any:
    if name.endswith("_at"):
        return pa.timestamp("us", "UTC")
    if name in {"id", *WHOLE} or name.endswith(("_id", "_count")):
        return pa.int64()
    return pa.bool_() if name in FLAGS else pa.string()


def _plain(name: str, value: Any) -> Any:
    return pd.Timestamp(value) if name.endswith("_at") and value is not None else value


def table(name: str) -> pd.DataFrame:
    """Return a table of the worked example with every column that its statistics need, and the record of fetch()."""
    rows = [EMPTY.get(name, {}) | row for row in ORACLE["tables"][name]]
    return extracted(mailings(*rows) if name == "mailings" else frame(rows, "id"), name)


def mailings(*rows: dict[str, Any]) -> pd.DataFrame:
    """Make mailings that differ from a plain unsent one in what is given; ids count up from 1."""
    numbered = [{"id": number, **row} for number, row in enumerate(rows, start=1)]
    return frame(numbered, *MAILING_COLUMNS, "template_id", "mailbox_id", "state")


def extracted(made: pd.DataFrame, name: str, as_of: str = AS_OF) -> pd.DataFrame:
    """Put the record that fetch() leaves on a frame."""
    made.attrs["outreach_frames"] = {"resource": name, "as_of": as_of}
    return made


def plain(values: "pd.Series[Any]") -> list[Any]:
    """List a column with None for what is missing."""
    return [None if value is None or value is pd.NA or value is pd.NaT else value for value in values.tolist()]
