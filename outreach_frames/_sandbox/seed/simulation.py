"""
What every part of the simulation shares: time, random streams, tables of columns, and the sequences as arrays.

Time is counted in seconds since 1970 in UTC, as floats, so that "never" can be NaN: comparisons with NaN are false, and
`numpy.fmin` ignores it. Local time is needed for business hours. The offset of a time zone is looked up once per local
day, at noon. That is exact for every working hour, because clocks change at night.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from outreach_frames._sandbox.seed.model import Model, SequencePlan, StepPlan, Variant
from outreach_frames._sandbox.seed.names import CITIES

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

MINUTE_S = 60.0
HOUR_S = 3_600.0
DAY_S = 86_400.0
_SATURDAY = 5
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday and Monday counts as 0
_SPARE_DAYS = 60


def weekday(local: FloatArray) -> IntArray:
    """Day of the week of local times, Monday = 0."""
    return (np.floor(local / DAY_S).astype(np.int64) + _EPOCH_WEEKDAY) % 7


def hour(local: FloatArray) -> IntArray:
    """Hour of the day of local times, 0 to 23."""
    return (np.mod(local, DAY_S) // HOUR_S).astype(np.int64)


class Zones:
    """
    Offsets of several time zones over the days of the simulation.

    Parameters
    ----------
    names
        IANA names; a zone is referred to by its position.
    first, last
        Span to cover [seconds since 1970]; times outside it take the nearest day's offset.
    """

    def __init__(self, names: tuple[str, ...], *, first: float, last: float) -> None:
        self.names = names
        self._first = int(first // DAY_S) - _SPARE_DAYS
        days = np.arange(self._first, int(last // DAY_S) + _SPARE_DAYS)
        self._offsets = np.array([[_offset_at_noon(ZoneInfo(name), int(day)) for day in days] for name in names])

    def _offset(self, local: FloatArray, zone: IntArray) -> FloatArray:
        day = np.floor(np.nan_to_num(local) / DAY_S).astype(np.int64) - self._first
        offsets: FloatArray = self._offsets[zone, np.clip(day, 0, self._offsets.shape[1] - 1)]
        return offsets

    def to_utc(self, local: FloatArray, zone: IntArray) -> FloatArray:
        """Turn local wall-clock seconds into UTC."""
        return local - self._offset(local, zone)

    def to_local(self, utc: FloatArray, zone: IntArray) -> FloatArray:
        """Turn UTC into local wall-clock seconds."""
        return utc + self._offset(utc + self._offset(utc, zone), zone)


def _offset_at_noon(zone: ZoneInfo, day: int) -> float:
    moment = datetime.fromtimestamp(day * DAY_S + DAY_S / 2, tz=UTC).replace(tzinfo=zone)
    offset = moment.utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def next_slot(
    ready: FloatArray, zone: IntArray, zones: Zones, rng: np.random.Generator, *, hours: FloatArray, weekends: BoolArray
) -> FloatArray:
    """
    First opening of a sending schedule at or after a moment.

    The local hour is drawn with the weights `hours`, so it does not depend on when the message became ready; a slot
    already past waits for the next day, a weekend for the week after unless the row is marked in `weekends`.

    Parameters
    ----------
    ready
        Earliest time [UTC seconds].
    zone
        Position of the time zone of the schedule.
    hours
        24 weights, one per hour of the day.
    """
    local = zones.to_local(ready, zone)
    sampled = rng.choice(24, size=len(ready), p=hours / hours.sum())
    slot: FloatArray = np.floor(local / DAY_S) * DAY_S + sampled * HOUR_S + rng.integers(0, int(HOUR_S), len(ready))
    slot = slot + np.where(slot < local, DAY_S, 0.0)
    return zones.to_utc(after_weekend(slot, keep=weekends), zone)


def after_weekend(local: FloatArray, *, keep: BoolArray | bool = False) -> FloatArray:
    """Move Saturdays to Monday and Sundays to Tuesday, except rows in `keep`."""
    moved = (weekday(local) >= _SATURDAY) & ~np.asarray(keep)
    return local + np.where(moved, 2 * DAY_S, 0.0)


def at_waking_hours(utc: FloatArray, zone: IntArray, zones: Zones, rng: np.random.Generator) -> FloatArray:
    """Move instants between 22:00 and 07:00 local time to the following early morning."""
    local = zones.to_local(utc, zone)
    night = ~np.isin(hour(np.nan_to_num(local)), range(7, 22))
    morning = np.floor((local + 2 * HOUR_S) / DAY_S) * DAY_S + 7 * HOUR_S + rng.uniform(0, 2 * HOUR_S, len(utc))
    return np.where(night, zones.to_utc(morning, zone), utc)


Table: TypeAlias = dict[str, Any]
"""Named columns of one length, as numpy arrays."""


def concat_tables(parts: Sequence[Table]) -> Table:
    """Concatenate tables; all have the first one's columns."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def take_rows(table: Table, rows: IntArray | BoolArray) -> Table:
    """Return some rows of a table."""
    return {name: column[rows] for name, column in table.items()}


def happens(chance: float | FloatArray, size: int, rng: np.random.Generator) -> BoolArray:
    """Draw `size` times whether something of this probability happens; `chance` may be one probability per draw."""
    outcomes: BoolArray = rng.random(size) < chance
    return outcomes


WINDOW_DAYS = 182


class SequenceArrays:
    """
    The sequences of a model as arrays, with the ids the resources get.

    Sequences, steps, variants and templates are numbered from 1 in the order they are planned; arrays are indexed by
    id - 1. ``step_at[sequence, order]`` and ``variant_at[step, number]`` are positions, -1 where there is none.
    """

    def __init__(self, model: Model, as_of: float) -> None:
        def moment(days_before: float | None) -> float:
            return np.nan if days_before is None else as_of - days_before * DAY_S

        self.plans: tuple[SequencePlan, ...] = model.sequences
        self.steps: list[StepPlan] = [step for plan in self.plans for step in plan.steps]
        self.variants: list[Variant] = [variant for step in self.steps for variant in step.variants]

        lengths = [len(plan.steps) for plan in self.plans]
        self.step_sequence: IntArray = np.repeat(np.arange(len(self.plans)), lengths)
        self.step_order: IntArray = np.concatenate([np.arange(length) for length in lengths])
        self.step_at = _position_grid(self.step_sequence, self.step_order, shape=(len(self.plans), max(lengths)))
        self.kind: IntArray = np.array([step.kind for step in self.steps])
        self.wait: FloatArray = np.array([step.wait_days * DAY_S for step in self.steps])
        self.decay: FloatArray = np.array([step.decay for step in self.steps])
        self.date: FloatArray = np.array([moment(step.date_day) for step in self.steps])
        self.autoskip: FloatArray = np.array(
            [np.nan if s.autoskip_days is None else s.autoskip_days * DAY_S for s in self.steps]
        )

        counts = [len(step.variants) for step in self.steps]
        self.variant_step: IntArray = np.repeat(np.arange(len(self.steps)), counts)
        number = np.concatenate([np.arange(count) for count in counts])
        self.variant_at = _position_grid(self.variant_step, number, shape=(len(self.steps), max(counts)))
        self.template_names: list[str] = list(dict.fromkeys(variant.template for variant in self.variants))
        self.template: IntArray = np.array([self.template_names.index(variant.template) for variant in self.variants])
        self.lift: FloatArray = np.array([variant.lift for variant in self.variants])
        self.share: FloatArray = np.array([variant.share for variant in self.variants])
        self.opens: FloatArray = np.array([plan.start_day for plan in self.plans]) * -DAY_S + as_of
        self.variant_from: FloatArray = np.array(
            [
                self.opens[self.step_sequence[step]] if variant.from_day is None else moment(variant.from_day)
                for variant, step in zip(self.variants, self.variant_step, strict=True)
            ]
        )
        self.variant_until: FloatArray = np.array([moment(variant.until_day) for variant in self.variants])

        self.until: FloatArray = np.array([moment(plan.until_day) for plan in self.plans])
        self.closed: FloatArray = np.array([moment(plan.closed_day) for plan in self.plans])
        self.reply: FloatArray = np.array([plan.reply for plan in self.plans])
        self.opened: FloatArray = np.array([plan.opened for plan in self.plans])
        self.clicked: FloatArray = np.array([plan.clicked for plan in self.plans])
        self.opt_out: FloatArray = np.array([plan.opt_out for plan in self.plans])
        self.positive: FloatArray = np.array([plan.positive for plan in self.plans])
        self.weight: FloatArray = np.array([plan.weight for plan in self.plans])
        self.dated: BoolArray = np.array([plan.dated for plan in self.plans])
        self.transactional: BoolArray = np.array([plan.transactional for plan in self.plans])
        self.finish_on_reply: BoolArray = np.array([plan.finish_on_reply for plan in self.plans])
        self.tracks_opens: BoolArray = np.array([plan.track_opens for plan in self.plans])
        self.tracks_links: BoolArray = np.array([plan.track_links for plan in self.plans])
        self.throttled: BoolArray = np.array([plan.throttled for plan in self.plans])

    def deal_variants(self, steps: IntArray, sent: FloatArray, rng: np.random.Generator) -> IntArray:
        """Choose a variant for each message among those switched on at the time, by their shares."""
        candidates = self.variant_at[steps]
        on = (candidates >= 0) & (self.variant_from[candidates] <= sent[:, None])
        on &= ~(self.variant_until[candidates] <= sent[:, None])
        weights = np.where(on, self.share[candidates], 0.0)
        weights[:, 0] += weights.sum(axis=1) == 0
        bounds = np.cumsum(weights, axis=1)
        sampled = rng.random(len(steps)) * bounds[:, -1]
        variants: IntArray = candidates[np.arange(len(steps)), (sampled[:, None] >= bounds).sum(axis=1)]
        return variants


def _position_grid(row: IntArray, column: IntArray, *, shape: tuple[int, int]) -> IntArray:
    grid = np.full(shape, -1)
    grid[row, column] = np.arange(len(row))
    return grid


@dataclass(frozen=True, slots=True)
class Simulation:
    """
    The parameters of one simulation, shared by all of its parts.

    Attributes
    ----------
    as_of, start
        Now, and the first day of activity [seconds since 1970]; nothing has happened after `as_of`.
    """

    model: Model
    sequences: SequenceArrays
    zones: Zones
    as_of: float
    start: float
    seed: int

    @classmethod
    def make(cls, model: Model, *, seed: int, as_of: datetime) -> "Simulation":
        """Build the simulation for an instant with a time zone."""
        if as_of.tzinfo is None:
            raise ValueError("as_of needs a time zone, for example datetime(2026, 3, 31, tzinfo=UTC)")
        now = float(int(as_of.astimezone(UTC).timestamp()))
        start = now - WINDOW_DAYS * DAY_S
        names = tuple(dict.fromkeys(city.zone for city in CITIES))
        zones = Zones(names, first=start - 400 * DAY_S, last=now)
        return cls(model, SequenceArrays(model, now), zones, now, start, seed)

    def random(self, part: str) -> np.random.Generator:
        """Random numbers of one part of the simulation; drawing more in one part does not move another."""
        return np.random.default_rng((self.seed, crc32(part.encode())))

    def before(self, days: float) -> float:
        """Return the instant this many days before now."""
        return self.as_of - days * DAY_S

    def until_now(self, moments: FloatArray) -> FloatArray:
        """Return the moments, with those still to come as NaN."""
        return np.where(moments <= self.as_of, moments, np.nan)
