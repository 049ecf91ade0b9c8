"""
Words to group by, such as ``by="persona"``, and the names of what ids stand for.

A word stands for a column of the table that is counted, or of one that it leads to: a mailing to its prospect, that to
a persona and to an account, a sender to teams.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from outreach_frames.errors import MissingColumnError
from outreach_frames.stats._tables import TableReader, read_table

WORDS: Mapping[str, str] = {
    "account": "account_id",
    "mailbox": "mailbox_id",
    "persona": "persona_id",
    "rep": "user_id",
    "sequence": "sequence_id",
    "step": "sequence_step_id",
    "team": "team_id",
    "template": "template_id",
}
"""Column of a word; ``industry``, ``week``, ``month`` and the like are columns' names themselves."""

_OWNED = frozenset({"account_reach", "task_completion"})
"""Statistics of what has an owner, who is the rep."""

_OWNER = "owner_id"

_OF_PEOPLE = {"account_id": "prospects", "persona_id": "prospects", "industry": "accounts"}
"""Columns of the people written to and of their accounts."""


def columns_in_words(function: str, by: Any, *, present: Collection[str] = ()) -> Any:
    """Replace the words in ``by`` with the columns that they stand for; names of columns present stay as they are."""
    if isinstance(by, str):
        if by in present:
            return by
        return _OWNER if by == "rep" and function in _OWNED else WORDS.get(by, by)
    if isinstance(by, Iterable) and not isinstance(by, Mapping | set | frozenset | bytes):
        return [columns_in_words(function, each, present=present) for each in by]
    return by


def with_keys(source: TableReader, name: str, frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """
    Add the columns of people and accounts that a table is grouped by.

    Parameters
    ----------
    source
        Where the other tables are read.
    name, frame
        A table that is counted.
    keys
        Columns to group by. Those that are neither the table's nor known here are left to the statistic.
    """
    attrs = frame.attrs
    for key in keys:
        if key not in frame.columns and key in _OF_PEOPLE:
            frame = _with_person_column(source, name, frame, key)
    frame.attrs = attrs
    return frame


def _with_person_column(source: TableReader, name: str, frame: pd.DataFrame, key: str) -> pd.DataFrame:
    """Add a column of prospects or of their accounts to a table that leads to them."""
    table = _OF_PEOPLE[key]
    if table == "accounts" and name != "prospects":
        if "prospect_id" not in frame.columns:
            return frame
        people = key_pairs(source, "prospects", "account_id")
        people = people.merge(key_pairs(source, "accounts", key, id_as="account_id"), on="account_id", how="left")
        people = people.rename(columns={"id": "prospect_id"})[["prospect_id", key]]
        return frame.merge(people, on="prospect_id", how="left", validate="m:1")
    link = "account_id" if table == "accounts" else "prospect_id"
    if link not in frame.columns:
        return frame
    return frame.merge(key_pairs(source, table, key, id_as=link), on=link, how="left", validate="m:1")


def key_pairs(source: TableReader, table: str, column: str, *, id_as: str = "id") -> pd.DataFrame:
    """
    Read a column of another table, by its id.

    Raises
    ------
    MissingColumnError
        The source does not have it.
    """
    frame = read_table(source, table, [column])
    if frame is None or column not in frame.columns:
        field = {"teams_ids": "teams"}.get(column, column.removesuffix("_id"))
        raise MissingColumnError(
            column,
            needed_for=f"grouping by a column of {table}",
            hint=f'The source does not have it: fetch or snapshot {table} with the field "{field}".',
        )
    return frame[["id", column]].rename(columns={"id": id_as})


_NAMED: Mapping[str, tuple[str, str]] = {
    "account_id": ("accounts", "name"),
    "mailbox_id": ("mailboxes", "email"),
    "owner_id": ("users", "name"),
    "persona_id": ("personas", "name"),
    "sequence_id": ("sequences", "name"),
    "team_id": ("teams", "name"),
    "template_id": ("templates", "name"),
    "user_id": ("users", "name"),
}
"""By key, the table and the column with the names."""

_STEP_KEY = "sequence_step_id"


def name_column(key: str) -> str:
    """Return the column with the names of a key: ``sequence__name`` of ``sequence_id``."""
    return f"{key.removesuffix('_id')}__name"


def with_names(source: TableReader, result: pd.DataFrame) -> pd.DataFrame:
    """Add to a result, beside each id, the name that the source has for it, unless the result has its own."""
    if not set(result.columns).isdisjoint({*_NAMED, _STEP_KEY}):
        attrs = result.attrs
        for key in [column for column in result.columns if column in _NAMED or column == _STEP_KEY]:
            names = None if _has_own(result, key) else _names_of(source, key)
            if names is not None and not names.empty:
                named = result[key].map(names).astype("string[pyarrow]").astype(names.dtype)
                result.insert(int(result.columns.get_loc(key)) + 1, name_column(key), named)  # type: ignore[arg-type]
        result.attrs = attrs
    return result


def _has_own(result: pd.DataFrame, key: str) -> bool:
    own = {name_column(key), f"{key.removesuffix('_id')}_name"}
    own |= {"name"} if result.columns[0] == key else set()
    own |= {"email", "mailbox_address"} if key == "mailbox_id" else set()
    return not own.isdisjoint(result.columns)


def _names_of(source: TableReader, key: str) -> "pd.Series[Any] | None":
    """Return the names by id; ``None`` where the source has none."""
    if key == _STEP_KEY:
        return _step_names(source)
    table, column = _NAMED[key]
    frame = read_table(source, table)
    return None if frame is None or column not in frame.columns else frame.set_index("id")[column].dropna()


def _step_names(source: TableReader) -> "pd.Series[Any] | None":
    """Name steps by their sequence and place in it: "Partner introductions, step 3"."""
    steps, sequences = read_table(source, "sequence_steps"), _names_of(source, "sequence_id")
    if steps is None or sequences is None or not {"id", "sequence_id", "order"} <= set(steps.columns):
        return None
    names = steps["sequence_id"].map(sequences).astype("string[pyarrow]")
    return (names + ", step " + steps["order"].astype("string[pyarrow]")).set_axis(steps["id"]).dropna()
