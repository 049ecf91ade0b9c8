"""
Statistics of a source and of a period: what all of them take besides their own parameters.

Source: a snapshot, a connection, or frames by name may be passed in place of the first frame. The tables that the
parameters name are read from it, with the columns that statistics use. E-mail addresses are not read: if they were,
mail to colleagues would be left out.

A period: mailings are placed by ``delivered_at``, else ``bounced_at``, else ``replied_at``; calls by ``dialed_at``,
else ``answered_at``, else ``completed_at``; tasks by ``completed_at``, else ``due_at``. Where enrollments are followed,
all that happens to those created in the period counts; deals count if they were created in
it, together with everything that happened before them.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
import pandas as pd

from outreach_frames._frame_kinds import RECORD
from outreach_frames.errors import DataError
from outreach_frames.stats._backends import as_narwhals, column_names
from outreach_frames.stats._keys import columns_in_words, with_keys, with_names
from outreach_frames.stats._period_words import bounds_of
from outreach_frames.stats._statistic import columns_of, extraction, is_eager
from outreach_frames.stats._tables import COLUMNS, PLACED_BY, TableReader, read_table, table_reader_of
from outreach_frames.stats._teams import TEAM, Teams, joined_teams, with_team
from outreach_frames.stats._timestamps import EPOCH, to_iso
from outreach_frames.stats._validation import check_dtype, missing_column

_UNTIMED = frozenset(
    {"attached", "data_quality", "explain", "mailbox_health", "power_table", "shrink_rates", "summarize"}
    | {"cumulative_incidence", "kaplan_meier", "reply_within"}  # of durations, which say nothing about when
    | {"compare_periods", "dashboard_comparison", "reconcile_counters", "reply_sentiment"}  # own periods, counters
)
"""Statistics without a period."""

NO_SOURCE = frozenset({"attached", "data_quality", "explain", "power_table", "shrink_rates", "summarize"})
"""Functions without a table, and those that take a source of their own."""

_TOUCHES = ("mailings", "calls", "tasks")
_CUT: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("cohort_matrix", "enrollment_outcomes", "meetings", "state_flow"), ("sequence_states",)),
    "pipeline_attribution": ("opportunities",),
    "rep_activity": (*_TOUCHES, "sequence_states"),
}
"""Tables of which a period keeps a part; else mailings, calls and tasks."""

_CUT_BY_ENROLLMENT = frozenset({"step_funnel", "time_to_event"})
"""Statistics that follow enrollments by their mail: those count whose first mailing was sent in the period."""

_ALSO_PLACED_BY = {"failures": ("created_at",)}
"""What places mail that was never sent, where it counts."""

_COMPARES_GROUPS = frozenset({"compare_periods"})
"""Statistics of all groups together, for which a record must be in one group."""

_NOT_FILLED = frozenset({"email_addresses"})
_SHARED_PARAMETERS: Mapping[str, Any] = {"since": None, "until": None, "period": None, "tz": "UTC"}

_DOCUMENTED = """{names}
        Count only {what} at or after ``since`` and before ``until``, or in a ``period``: ``"2026-01"``, ``"2026-Q1"``,
        ``"last_month"``, ``"this_quarter"``, ``"90d"`` [up to the extraction]. ``tz``: IANA zone of days and months,
        and ``default_tz`` where there is one. Left out rows are counted.

"""
_WHAT = {"sequence_states": "enrollments created", "opportunities": "deals created"}


def with_sources(function: Callable[..., Any]) -> Callable[..., Any]:
    """
    Let a statistic take a source, a period and words to group by.

    Parameters
    ----------
    function
        A function of `outreach_frames.stats`; one that has no table comes back as it is.
    """
    name, own = function.__name__, inspect.signature(function)
    if name in NO_SOURCE or not inspect.isfunction(function):
        return function
    added = {} if name in _UNTIMED else {k: v for k, v in _SHARED_PARAMETERS.items() if k not in own.parameters}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return _Call(function, own, added).result(args, kwargs)

    parameters = list(own.parameters.values())
    rest = [each for each in parameters if each.kind is each.VAR_KEYWORD]
    new = [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=v) for k, v in added.items()]
    call.__signature__ = own.replace(parameters=[*parameters[: len(parameters) - len(rest)], *new, *rest])  # type: ignore[attr-defined]
    if added and function.__doc__:
        what = _WHAT.get(_CUT.get(name, _TOUCHES)[0], "mail, calls and tasks")
        text = "    " + _DOCUMENTED.format(names=", ".join(added), what=what)
        call.__doc__ = function.__doc__.replace("    Returns\n    -----", text + "    Returns\n    -----", 1)
    return call


class _Call:
    """One call of a statistic with the parameters that all have."""

    def __init__(self, function: Callable[..., Any], own: inspect.Signature, added: Mapping[str, Any]) -> None:
        self._function, self._own, self._added = function, own, added
        self._name, self._first = function.__name__, next(iter(own.parameters))
        self._bounds: tuple[int | None, int | None] = (None, None)
        self._noted: dict[str, dict[str, Any]] = {"parameters": {}, "dropped": {}, "assumed": {}}

    def result(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) == 1 and self._first not in kwargs:
            kwargs[self._first] = args[0]
            args = ()
        self._in_columns(kwargs)
        shared = {name: kwargs.pop(name, default) for name, default in self._added.items()}
        shared = {name: kwargs.get(name, default) for name, default in _SHARED_PARAMETERS.items()} | shared
        if args or self._first not in kwargs:  # the statistic's own message says what is wrong
            self._check_no_period(shared)
            return self._function(*args, **kwargs)
        source = table_reader_of(kwargs[self._first])
        if source is not None:
            kwargs = self._filled(source, kwargs)
        if "period" in self._added:
            kwargs = self._within(kwargs, shared)
        if source is not None and TEAM in (keys := self._keys(kwargs)):
            result = self._by_team(Teams(source), kwargs, keys)
        else:
            result = self._counted(kwargs)
        if self._bounds != (None, None):
            result = self._of_whole_periods(result, shared["tz"])
        if source is not None and isinstance(result, pd.DataFrame):
            result = with_names(source, result)
        return self._with_record(result)

    def _in_columns(self, kwargs: dict[str, Any]) -> None:
        """Replace words to group by with columns; a zone is also the default of the people's zones."""
        if "by" in kwargs:
            counted = getattr(kwargs.get("statistic"), "__name__", self._name)
            kwargs["by"] = columns_in_words(counted, kwargs["by"], present=_column_names(kwargs.get(self._first)))
        if "default_tz" in self._own.parameters and "tz" in self._added and "tz" in kwargs:
            kwargs.setdefault("default_tz", kwargs["tz"])

    def _check_no_period(self, shared: Mapping[str, Any]) -> None:
        if any(shared[name] != default for name, default in self._added.items()):
            raise DataError(
                f"{self._name} takes a period only where its frames are given by keyword.",
                hint="Name the frames after the first one, such as sequences=sequences.",
            )

    def _counted(self, kwargs: Mapping[str, Any]) -> Any:
        first, rest = kwargs[self._first], {name: value for name, value in kwargs.items() if name != self._first}
        return self._function(first, **rest)

    def _by_team(self, teams: Teams, kwargs: Mapping[str, Any], keys: list[str]) -> Any:
        """Count by the teams of users; a record of a user in several teams counts in each."""
        tables = {
            name: frame
            for name, frame in kwargs.items()
            if name in {self._first, *COLUMNS} and isinstance(frame, pd.DataFrame)
        }
        results = [
            self._counted({**kwargs, **{name: with_team(frame, each) for name, frame in tables.items()}})
            for each in teams.assignments()
        ]
        if len(results) == 1:
            return results[0]
        if self._name in _COMPARES_GROUPS or TEAM not in results[0].columns:
            raise DataError(
                f"{self._name} cannot be grouped by team here, since a user is in several teams.",
                hint="Group by rep, or call it once for each team, with the rows of its users.",
            )
        for name, frame in tables.items():
            if repeats := teams.repeats(frame):
                record = _ONE_ROW.get(name, name.removesuffix("s"))
                self._noted["assumed"][
                    f"{record} of a user in several teams, counted in each: rows beyond the first"
                ] = repeats
        return joined_teams(results, keys)

    def _of_whole_periods(self, result: Any, tz: str) -> Any:
        """Leave out or mark the weeks and months of a result that a period cuts."""
        if self._name == "trend":
            from outreach_frames.stats.trends import with_cut_periods  # noqa: PLC0415  loads SciPy

            return with_cut_periods(result, self._bounds, tz)
        return _weeks_within(result, self._bounds, tz) if self._name == "rep_activity" else result

    def _filled(self, source: TableReader, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Read the tables that parameters name and that were not given."""
        tables = {self._first: self._fact_table(kwargs)}
        parameters = dict(self._own.parameters)
        if (statistic := kwargs.get("statistic")) is not None and self._name == "compare_periods":
            parameters |= dict(list(inspect.signature(statistic).parameters.items())[1:])
        tables |= {each: each for each in parameters if each in COLUMNS and each != self._first}
        keys = self._keys(kwargs)
        if self._name == "leaderboard":  # names of the groups only
            tables = {k: v for k, v in tables.items() if k in {self._first, _RANKED.get(keys[0] if keys else "")}}
        if self._name == "reconcile_counters" and not kwargs.keys() & (tables.keys() - {self._first}):
            tables = {k: v for k, v in tables.items() if k in {self._first, "sequences"}}
        filled = dict(kwargs)
        for parameter, table in tables.items():
            if parameter != self._first and (kwargs.get(parameter) is not None or parameter in _NOT_FILLED):
                continue
            if self._name == "reconcile_counters" and parameter not in {self._first, "sequences"}:
                continue
            frame = read_table(source, table, keys)
            if frame is None and parameter == self._first:
                raise DataError(
                    f"The source has no table {table!r}; {self._name} needs it.",
                    hint="Pass a pandas frame, a snapshot, a connection, or frames by the names of their tables.",
                )
            if frame is not None:
                filled[parameter] = with_keys(source, table, frame, keys)
        return filled

    def _keys(self, kwargs: Mapping[str, Any]) -> list[str]:
        keys = kwargs.get("by", self._own.parameters["by"].default if "by" in self._own.parameters else None)
        return [keys] if isinstance(keys, str) else [key for key in keys or () if isinstance(key, str)]

    def _fact_table(self, kwargs: dict[str, Any]) -> str:
        if self._name == "compare_periods" and callable(kwargs.get("statistic")):
            return next(iter(inspect.signature(kwargs["statistic"]).parameters))
        if self._first == "objects":
            return str(kwargs.get("resource", self._own.parameters["resource"].default))
        return self._first

    def _within(self, kwargs: dict[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
        """Keep what lies in the period, or hand its bounds to a statistic that has them."""
        now = functools.partial(
            extraction, kwargs[self._first], kwargs.get("as_of"), needed_for=f"A period of {self._name}"
        )
        self._bounds = bounds = bounds_of(**shared, now=now)
        if bounds == (None, None):
            return kwargs
        since, until = (None if bound is None else to_iso(bound) for bound in bounds)
        if "since" in self._own.parameters:
            return kwargs | {"since": since, "until": until}
        self._noted["parameters"] |= {"since": since, "until": until}
        if self._name in _CUT_BY_ENROLLMENT:
            return self._begun_within(kwargs, bounds)
        cut = {name: kwargs[name] for name in _CUT.get(self._name, _TOUCHES) if kwargs.get(name) is not None}
        return kwargs | {name: self._cut(name, frame, bounds) for name, frame in cut.items()}

    def _cut(self, name: str, native: Any, bounds: tuple[int | None, int | None]) -> Any:
        frame = as_narwhals(native)
        if frame is native:
            return native  # no frame: the statistic says so
        rows = frame.filter(
            _placed_within(name, native, bounds, needed_for=self._name, also=_ALSO_PLACED_BY.get(self._name, ()))
        )
        if is_eager(native):
            self._left_out(name, len(native) - len(rows))
        return _with_attrs(rows.to_native(), native)

    def _begun_within(self, kwargs: dict[str, Any], bounds: tuple[int | None, int | None]) -> dict[str, Any]:
        """Keep all touches of the enrollments whose first mailing was sent in the period."""
        frames = {name: as_narwhals(kwargs[name]) for name in _TOUCHES if kwargs.get(name) is not None}
        mail, who = frames["mailings"], "sequence_state_id"
        for column in (who, *PLACED_BY["mailings"]):
            if column not in columns_of("mailings", kwargs["mailings"]):
                raise missing_column("mailings", column, needed_for=self._name)
        sent = mail.select(who, sent_at=_first_instant("mailings", kwargs["mailings"], PLACED_BY["mailings"])).filter(
            ~nw.col(who).is_null(), ~nw.col("sent_at").is_null()
        )
        began = (
            sent.group_by(who)
            .agg(nw.col("sent_at").min())
            .filter(_within_bounds(nw.col("sent_at"), bounds))
            .select(who)
        )
        rows = {}
        for name, frame in frames.items():
            native = kwargs[name]
            if who in frame.collect_schema().names():
                own = frame.join(began, on=who, how="semi")
                if is_eager(native):
                    self._left_out(name, len(native) - len(own))
                rows[name] = _with_attrs(own.to_native(), native)
        return kwargs | rows

    def _left_out(self, name: str, rows: int) -> None:
        if rows:
            self._noted["dropped"][f"row of {name} outside the period"] = rows

    def _with_record(self, result: Any) -> Any:
        if isinstance(result, pd.DataFrame) and isinstance(record := result.attrs.get(RECORD), dict):
            for part, noted in self._noted.items():
                if noted:
                    record[part] = {**record.get(part, {}), **noted}
        return result


def _column_names(native: Any) -> list[str]:
    """List the columns of a frame; a source has none."""
    try:
        return [] if native is None or table_reader_of(native) is not None else column_names(native)
    except TypeError:
        return []


_ONE_ROW = {"mailings": "mailing", "sequence_states": "enrollment"}
_RANKED = {"user_id": "users", "mailbox_id": "mailboxes", "sequence_id": "sequences", "template_id": "templates"}


def _weeks_within(activity: Any, bounds: tuple[int | None, int | None], tz: str) -> Any:
    """Leave out the weeks before and after a period, in which a task done within it was due."""
    since, until = (
        None if bound is None else (EPOCH + timedelta(microseconds=bound)).astimezone(ZoneInfo(tz)) for bound in bounds
    )
    rows = as_narwhals(activity)
    if since is not None:
        rows = rows.filter(nw.col("week") >= since.date() - timedelta(days=since.weekday()))
    if until is not None:
        rows = rows.filter(nw.col("week") <= (until - timedelta(microseconds=1)).date())
    return activity if bounds == (None, None) else _with_attrs(_renumbered(rows.to_native()), activity)


def _renumbered(result: Any) -> Any:
    return result.reset_index(drop=True) if isinstance(result, pd.DataFrame) else result


def _placed_within(
    name: str, native: Any, bounds: tuple[int | None, int | None], *, needed_for: str, also: Sequence[str] = ()
) -> nw.Expr:
    present, placed_by = columns_of(name, native), (*PLACED_BY[name], *also)
    for column in placed_by:
        if column not in present:
            raise missing_column(name, column, needed_for=f"a period of {needed_for}")
    return _within_bounds(_first_instant(name, native, placed_by), bounds)


def _first_instant(name: str, native: Any, columns: Sequence[str]) -> nw.Expr:
    """Return the first instant that is not missing; without a zone it is read as UTC, as the statistics do."""
    schema, instants = as_narwhals(native).collect_schema(), []
    for column in columns:
        check_dtype(name, column, schema[column])
        is_naive = isinstance(schema[column], nw.Datetime) and schema[column].time_zone is None
        instants.append(nw.col(column).dt.replace_time_zone("UTC") if is_naive else nw.col(column))
    return nw.coalesce(*instants)


def _within_bounds(instant: nw.Expr, bounds: tuple[int | None, int | None]) -> nw.Expr:
    since, until = (None if bound is None else EPOCH + timedelta(microseconds=bound) for bound in bounds)
    within = ~instant.is_null()
    if since is not None:
        within = within & (instant >= since)
    if until is not None:
        within = within & (instant < until)
    return within


def _with_attrs(rows: Any, native: Any) -> Any:
    if isinstance(rows, pd.DataFrame):
        rows.attrs = native.attrs
    return rows
