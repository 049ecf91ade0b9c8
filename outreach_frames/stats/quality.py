"""
Data quality: all checks of the data at once, each with its effect on the figures; and Outreach's own counters.

Counters include deleted and invisible mail, events or messages, since ever or since the last touch. No rate is made of
them; `reconcile_counters` compares them with the mailings.
"""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames.errors import CounterGapWarning, DataError, MissingColumnError, OutreachDataWarning
from outreach_frames.stats._pandas import (
    flags,
    frame_in_utc,
    frame_of_rows,
    frames_of,
    keep,
    missing,
    naive_columns,
    read,
    read_mailings,
    write,
)
from outreach_frames.stats._statistic import EXAMPLES, StatContext, record_of, warn_of_rows
from outreach_frames.stats._timestamps import Instant
from outreach_frames.stats.quality_checks import CHECKS, EFFECTS, Check, MissingTableError

SEVERITIES = ("ok", "note", "watch", "act")

_QUALITY_RESULT = {
    "trap": pa.string(),
    "check": pa.string(),
    "resource": pa.string(),
    "count": pa.int64(),
    "rows": pa.int64(),
    "share": pa.float64(),
    "severity": pa.string(),
    "example_ids": pa.list_(pa.int64()),
    "effect": pa.string(),
    "needs": pa.string(),
}


class Tables:
    """
    The frames given, made fit to be counted: each id once, every instant in UTC.

    Attributes
    ----------
    naive, doubled
        Ids of rows with an instant without zone, and ids that came more than once, by table.
    """

    def __init__(self, call: StatContext, frames: Mapping[str, pd.DataFrame]) -> None:
        self.call = call
        self.as_of: int | None = None
        self.sizes = {name: len(frame) for name, frame in frames.items()}
        self.naive = {name: _naive_rows(frame) for name, frame in frames.items()}
        self.doubled = {name: _doubled_ids(frame) for name, frame in frames.items()}
        self._frames = {name: _repaired(frame) for name, frame in frames.items()}
        self._results: dict[str, pd.DataFrame] = {}

    def table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Take columns of a table; see `_pandas.read`."""
        return read(self.call, name, self._frame_of(name), columns)

    def result(self, function: str, *tables: str) -> pd.DataFrame:
        """Call a statistic on tables, the first by position, without its warnings; keep what it returns."""
        key = f"{function}{tables}"
        if key not in self._results:
            call = getattr(import_module("outreach_frames.stats"), function)
            first, *others = [self._frame_of(name) for name in tables]
            named: dict[str, Any] = dict(zip(tables[1:], others, strict=True))
            if "as_of" in signature(call).parameters:
                named["as_of"] = self.call.as_of
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OutreachDataWarning)  # what they would say is in the table
                self._results[key] = call(first, **named)
        return self._results[key]

    def _frame_of(self, name: str) -> pd.DataFrame:
        if name not in self._frames:
            raise MissingTableError(name)
        return self._frames[name]


def data_quality(frames: Any, *, as_of: Instant | None = None) -> pd.DataFrame:
    """
    Check the data for everything that bends a statistic, and for contradictions.

    Parameters
    ----------
    frames
        A mapping of resource name to pandas frame, such as ``{"mailings": …, "prospects": …}``, or a snapshot. The more
        tables, the more is checked.
    as_of
        When the data were extracted; default: the frames' own record. Unknown: what needs it is not checked.

    Returns
    -------
    quality : DataFrame, one row for each check, in the order of the traps
        ``trap`` ("T5"; missing where it is none), ``check``, ``resource`` (whose ids are counted), ``count``, ``rows``
        looked at, ``share`` = count / rows (missing without rows), ``severity``: "ok" if nothing was found, else "note"
        (know it), "watch" (figures bend) or "act" (repair first); ``example_ids`` [up to 5], ``effect`` on the metrics,
        ``needs``: the table or column that is not given, in which case count and severity are missing.

    Raises
    ------
    DataError
        The source holds no frames, or a column has the wrong dtype.

    Notes
    -----
    Ids that came twice and naive instants are counted first, then the latest row of an id is kept and the instants are
    read as UTC, so that the other checks can go on.

    Examples
    --------
    >>> checks = stats.data_quality(snapshot)
    >>> checks["severity"].value_counts().to_dict()
    {'note': 20, 'ok': 10, 'watch': 7, 'act': 1}
    >>> checks.loc[checks["severity"] == "act", ["trap", "check", "count", "rows"]].to_dict("records")
    [{'trap': 'T18', 'check': 'blind_mailboxes', 'count': 1, 'rows': 9}]
    """
    call = StatContext("data_quality")
    tables = Tables(call, frames_of(frames))
    for name in tables.sizes:
        with suppress(MissingColumnError):
            tables.table(name, ["id"])  # the extraction times must be known before the first check
    tables.as_of = call.optional_instant(as_of)
    checks = [*CHECKS, *_whole(21, "naive_instants", "watch", tables.naive, tables.sizes)]
    checks += _whole(27, "doubled_ids", "act", tables.doubled, tables.sizes)
    checks.sort(key=lambda check: check.trap or len(EFFECTS) + 1)
    return write(
        call,
        frame_of_rows([_run_check(check, tables) for check in checks], _QUALITY_RESULT),
        categories={"severity": SEVERITIES},
    )


def _whole(
    trap: int, name: str, severity: str, ids: Mapping[str, "pd.Series[Any]"], sizes: Mapping[str, int]
) -> list[Check]:
    """Make a check for each table in which something was found, or one for all."""
    matches = [table for table in sorted(ids) if len(ids[table])]
    if not matches:
        nothing = pd.Series([], dtype="int64[pyarrow]")
        return [Check(trap, name, "all tables", severity, lambda _: (nothing, sum(sizes.values())))]
    return [Check(trap, name, table, severity, partial(_count_rows, ids[table], sizes[table])) for table in matches]


def _count_rows(ids: "pd.Series[Any]", rows: int, _data: object) -> tuple["pd.Series[Any]", int]:
    return ids, rows


def _run_check(check: Check, tables: Tables) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_QUALITY_RESULT)
    row |= {"trap": f"T{check.trap}" if check.trap else None, "check": check.name, "resource": check.resource}
    row["effect"] = check.effect or EFFECTS[check.trap]
    try:
        ids, looked_at = check.search(tables)
    except MissingTableError as error:
        return row | {"needs": str(error)}
    except MissingColumnError as error:
        return row | {"needs": error.column}
    matches = {"count": len(ids), "rows": looked_at, "share": len(ids) / looked_at if looked_at else None}
    examples = sorted(ids.tolist())[:EXAMPLES]
    return row | matches | {"severity": check.severity if len(ids) else "ok", "example_ids": examples}


def _naive_rows(frame: pd.DataFrame) -> "pd.Series[Any]":
    return _ids(frame)[frame[naive_columns(frame)].notna().any(axis=1).to_numpy()]


def _doubled_ids(frame: pd.DataFrame) -> "pd.Series[Any]":
    ids = _ids(frame)
    return ids[ids.duplicated().to_numpy()].drop_duplicates()


def _ids(frame: pd.DataFrame) -> "pd.Series[Any]":
    """Return the ids; a table without any is counted by position."""
    return frame["id"] if "id" in frame.columns else pd.Series(range(len(frame)))


def _repaired(frame: pd.DataFrame) -> pd.DataFrame:
    return frame_in_utc(frame.drop_duplicates("id", keep="last") if "id" in frame.columns else frame)


KEYS = {
    "sequences": "sequence_id",
    "sequence_steps": "sequence_step_id",
    "templates": "template_id",
    "sequence_states": "sequence_state_id",
    "prospects": "prospect_id",
}
"""Tables with counters, and their keys in mailings."""

COUNTERS = ("deliver_count", "open_count", "click_count", "reply_count", "bounce_count", "opt_out_count")

GAP_CAUSES = ("equal", "other definition", "tracking off", "since-last-touch", "rows missing", "pending sync")

_SEEN = {
    "deliver_count": "delivered_at",
    "open_count": "opened_at",
    "click_count": "clicked_at",
    "reply_count": "replied_at",
    "bounce_count": "bounced_at",
    "opt_out_count": "unsubscribed_at",
}
"""The time that is set once it happened."""

_COUNTERS = {"open_count": ("opens_total", "is_open_tracked"), "click_count": ("clicks_total", "is_click_tracked")}
"""Where events are counted too, and whether they were tracked."""


def reconcile_counters(
    mailings: pd.DataFrame,
    *,
    sequences: pd.DataFrame | None = None,
    sequence_steps: pd.DataFrame | None = None,
    templates: pd.DataFrame | None = None,
    sequence_states: pd.DataFrame | None = None,
    prospects: pd.DataFrame | None = None,
    bounce_policy: str = "reply_wins",
) -> pd.DataFrame:
    """
    Compare the counters of sequences, steps, templates, enrollments or prospects with their mailings.

    Parameters
    ----------
    mailings
        As for `mailing_flags` without ``marked_as_spam_at``, and the key of the table, such as ``sequence_id``.
    sequences, sequence_steps, templates, sequence_states, prospects
        Exactly one of them: ``id`` and any of ``deliver_count``, ``open_count``, ``click_count``, ``reply_count``,
        ``bounce_count``, ``opt_out_count``; of templates also ``stats_target_id``, since a template may count on
        another.
    bounce_policy
        See `mailing_flags`; for ``net``.

    Returns
    -------
    reconciliation : DataFrame, one row for each object and counter, in that order
        Key; ``counter``; ``api``; ``unique_mailings`` with the raw timestamp or count set; ``total_events`` (opens and
        clicks only); ``net``: delivered less bounced (deliveries only); ``matches``: the definitions that give the
        same number, of ``delivered_at_not_null`` and ``delivered_net`` for deliveries, ``unique_mailings`` and
        ``total_events`` for the rest; ``gap`` = api − the definition the vendor states: mailings, but events for
        prospects' opens and clicks; ``cause``. Objects without mailings stay, with zeros. Where the counter is missing,
        so are gap and cause.

    Raises
    ------
    MissingColumnError
        A column is absent, or the objects have no counter at all.
    DataError
        Not exactly one table, or one passed under another's name; a wrong dtype, an id that occurs twice.

    Warns
    -----
    CounterGapWarning
        Counters exceed the rows: mailings were deleted or are not visible.

    Notes
    -----
    Causes, the first that holds: "equal"; "other definition" of the same rows; "tracking off": equal over the mailings
    with tracking; "since-last-touch": below the rows, and a prospect's; "rows missing": above the rows; "pending sync":
    below. Not counted: mailings without the key. Source: attribute descriptions and "Common patterns" of the Outreach
    API v2.

    Examples
    --------
    >>> counters = stats.reconcile_counters(mailings, sequences=sequences)
    >>> counters[["sequence_id", "counter", "api", "gap", "cause"]].head(1).to_dict("records")
    [{'sequence_id': 1, 'counter': 'deliver_count', 'api': 480, 'gap': 0, 'cause': 'equal'}]
    >>> counters["cause"].value_counts().to_dict()
    {'equal': 68, 'rows missing': 4, 'other definition': 0, 'tracking off': 0, 'since-last-touch': 0,
    'pending sync': 0}
    """
    tables = dict(zip(KEYS, (sequences, sequence_steps, templates, sequence_states, prospects), strict=True))
    name, objects = _only(tables)
    key, of_prospects = KEYS[name], name == "prospects"
    call = StatContext("reconcile_counters", table=name, bounce_policy=bounce_policy)
    listed = _objects(call, name, objects)
    mail = read_mailings(call, mailings, [key], bounce_policy=bounce_policy)
    mail = keep(call, mail, f"{key} missing", mail[key].notna())
    target = listed.set_index("id")["stats_target_id"].dropna()
    mail[key] = mail[key].map(target).astype(mail[key].dtype).fillna(mail[key])
    mail = keep(call, mail, f"mailing of a row that is not in {name}", mail[key].isin(listed["id"]))

    present = [counter for counter in COUNTERS if counter in listed.columns]
    compared = pd.concat([_compare_counter(listed, mail, key, counter) for counter in present], ignore_index=True)
    documented = compared["total_events"].fillna(compared["unique_mailings"])
    primary = documented if of_prospects else compared["unique_mailings"]
    compared["gap"] = compared["api"] - primary
    compared["matches"] = _matches(compared)
    compared["cause"] = _gap_causes(compared, of_prospects=of_prospects)
    place = compared["counter"].map(present.index)
    compared = compared.assign(place=place).sort_values([key, "place"], ignore_index=True)
    order = [key, "counter", "api", "unique_mailings", "total_events", "net", "matches", "gap", "cause"]
    result = write(call, compared[order], categories={"cause": GAP_CAUSES})
    above = set(compared[key][flags(compared["cause"] == "rows missing")])
    warn_of_rows(
        CounterGapWarning, f"Counters above the rows, so that mail was deleted or is not visible, on {name}", above
    )
    return result


def _only(tables: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the one table that is present, and its name."""
    present = {name: each for name, each in tables.items() if each is not None}
    if len(present) != 1:
        raise DataError(
            f"reconcile_counters needs one table with counters, not {len(present)}.",
            hint=f"Pass one of {', '.join(f'{name}=' for name in tables)}.",
        )
    [(name, objects)] = present.items()
    recorded = record_of(objects).get("resource", name)
    if recorded != name:
        raise DataError(f"These are {recorded}, not {name}.", hint=f"Pass them as {recorded}=.")
    return name, objects


def _objects(call: StatContext, name: str, objects: pd.DataFrame) -> pd.DataFrame:
    """Take ids and those counters that are there; at least one must be."""
    present = [counter for counter in COUNTERS if counter in getattr(objects, "columns", ())]
    return read(call, name, objects, ["id", *(present or ["open_count"])], optional=["stats_target_id"])


def _compare_counter(listed: pd.DataFrame, mail: pd.DataFrame, key: str, counter: str) -> pd.DataFrame:
    """Put one counter beside what the rows say, by each definition [missing: does not apply]."""
    events, tracked = _COUNTERS.get(counter, ("", ""))
    seen = flags(mail[_SEEN[counter]].notna()) | (flags(mail[events] > 0) if events else False)
    counts = pd.DataFrame(
        {
            key: mail[key],
            "unique_mailings": seen.astype(int),
            "tracked": (seen & flags(mail[tracked]) if tracked else seen).astype(int),
            "total_events": mail[events] if events else 0,
            "net": flags(mail["is_delivered"]).astype(int),
        }
    )
    summed = counts.groupby(key).sum().reindex(listed["id"]).fillna(0).astype("int64[pyarrow]").reset_index(drop=True)
    if not events:
        summed["total_events"] = missing(len(summed), "int64[pyarrow]")
    if counter != "deliver_count":
        summed["net"] = missing(len(summed), "int64[pyarrow]")
    summed[key], summed["counter"], summed["api"] = listed["id"], counter, listed[counter]
    return summed


def _matches(compared: pd.DataFrame) -> "pd.Series[Any]":
    """List the definitions that give the counter's number."""
    deliveries = compared["counter"] == "deliver_count"
    definitions = {
        "delivered_at_not_null": compared["unique_mailings"].where(deliveries),
        "delivered_net": compared["net"],
        "unique_mailings": compared["unique_mailings"].where(~deliveries),
        "total_events": compared["total_events"],
    }
    equal = {name: flags(compared["api"] == values) for name, values in definitions.items()}
    lists = [[name for name in equal if equal[name][row]] for row in range(len(compared))]
    return pd.Series(lists, dtype=pd.ArrowDtype(pa.list_(pa.string())))


def _gap_causes(compared: pd.DataFrame, *, of_prospects: bool) -> "pd.Series[Any]":
    gap = compared["gap"]
    explained = [
        flags(gap == 0),
        compared["matches"].list.len().to_numpy() > 0,
        flags(compared["api"] == compared["tracked"]),
        flags(gap < 0) & of_prospects,
        flags(gap > 0),
        flags(gap < 0),
    ]
    cause = np.select(explained, list(GAP_CAUSES), default="")
    return pd.Series(cause, dtype="string[pyarrow]").where(gap.notna())
