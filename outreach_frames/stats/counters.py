"""
The API's own counters against the rows: which definition a counter follows, and what explains the rest.

Counters count what is deleted or invisible, events or messages, since ever or since the last touch. No rate is made of
them here; this is where they are held against the mailings.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames.errors import CounterGapWarning, DataError
from outreach_frames.stats._data_warnings import warn_of_rows
from outreach_frames.stats._pandas import flags, keep, missing, read, read_mailings, write
from outreach_frames.stats._statistic import StatContext, record_of

KEYS = {
    "sequences": "sequence_id",
    "sequence_steps": "sequence_step_id",
    "templates": "template_id",
    "sequence_states": "sequence_state_id",
    "prospects": "prospect_id",
}
"""Tables with counters, and their keys in mailings."""

COUNTERS = ("deliver_count", "open_count", "click_count", "reply_count", "bounce_count", "opt_out_count")

CAUSES = ("equal", "other definition", "tracking off", "since-last-touch", "rows missing", "pending sync")

_SEEN = {
    "deliver_count": "delivered_at",
    "open_count": "opened_at",
    "click_count": "clicked_at",
    "reply_count": "replied_at",
    "bounce_count": "bounced_at",
    "opt_out_count": "unsubscribed_at",
}
"""The time that is set once it happened."""

_EVENTS = {"open_count": ("opens_total", "is_open_tracked"), "click_count": ("clicks_total", "is_click_tracked")}
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
    API v2; this project's metric dictionary, part 1.4 (T1, T2, T9).
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
    compared = pd.concat([_counted(listed, mail, key, counter) for counter in present], ignore_index=True)
    documented = compared["total_events"].fillna(compared["unique_mailings"])
    primary = documented if of_prospects else compared["unique_mailings"]
    compared["gap"] = compared["api"] - primary
    compared["matches"] = _matches(compared)
    compared["cause"] = _causes(compared, of_prospects=of_prospects)
    place = compared["counter"].map(present.index)
    compared = compared.assign(place=place).sort_values([key, "place"], ignore_index=True)
    order = [key, "counter", "api", "unique_mailings", "total_events", "net", "matches", "gap", "cause"]
    result = write(call, compared[order], categories={"cause": CAUSES})
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


def _counted(listed: pd.DataFrame, mail: pd.DataFrame, key: str, counter: str) -> pd.DataFrame:
    """Put one counter beside what the rows say, by each definition [missing: does not apply]."""
    events, tracked = _EVENTS.get(counter, ("", ""))
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


def _causes(compared: pd.DataFrame, *, of_prospects: bool) -> "pd.Series[Any]":
    gap = compared["gap"]
    explained = [
        flags(gap == 0),
        compared["matches"].list.len().to_numpy() > 0,
        flags(compared["api"] == compared["tracked"]),
        flags(gap < 0) & of_prospects,
        flags(gap > 0),
        flags(gap < 0),
    ]
    cause = np.select(explained, list(CAUSES), default="")
    return pd.Series(cause, dtype="string[pyarrow]").where(gap.notna())
