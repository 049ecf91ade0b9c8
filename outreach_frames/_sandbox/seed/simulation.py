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

from outreach_frames._sandbox.seed.model import Model, SequencePlan, Step, Variant
from outreach_frames._sandbox.seed.names import CITIES

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

MINUTE = 60.0
HOUR = 3_600.0
DAY = 86_400.0
SATURDAY = 5
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday and Monday counts as 0
_SPARE_DAYS = 60


def weekday(local: Floats) -> Ints:
    """Day of the week of local times, Monday = 0."""
    return (np.floor(local / DAY).astype(np.int64) + _EPOCH_WEEKDAY) % 7


def hour(local: Floats) -> Ints:
    """Hour of the day of local times, 0 to 23."""
    return (np.mod(local, DAY) // HOUR).astype(np.int64)


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
        self._first = int(first // DAY) - _SPARE_DAYS
        days = np.arange(self._first, int(last // DAY) + _SPARE_DAYS)
        self._offsets = np.array([[_offset_at_noon(ZoneInfo(name), int(day)) for day in days] for name in names])

    def _offset(self, local: Floats, zone: Ints) -> Floats:
        day = np.floor(np.nan_to_num(local) / DAY).astype(np.int64) - self._first
        offsets: Floats = self._offsets[zone, np.clip(day, 0, self._offsets.shape[1] - 1)]
        return offsets

    def to_utc(self, local: Floats, zone: Ints) -> Floats:
        """Turn local wall-clock seconds into UTC."""
        return local - self._offset(local, zone)

    def to_local(self, utc: Floats, zone: Ints) -> Floats:
        """Turn UTC into local wall-clock seconds."""
        return utc + self._offset(utc + self._offset(utc, zone), zone)


def _offset_at_noon(zone: ZoneInfo, day: int) -> float:
    moment = datetime.fromtimestamp(day * DAY + DAY / 2, tz=UTC).replace(tzinfo=zone)
    offset = moment.utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def next_slot(
    ready: Floats, zone: Ints, zones: Zones, rng: np.random.Generator, *, hours: Floats, weekends: Flags
) -> Floats:
    """
    First opening of a sending schedule at or after a moment.

    The local hour is drawn with the weights `hours`, so it does not depend on when the message became ready; a slot
    already past waits for the next day, a weekend for the week after unless the row is marked in `weekends`.

    Parameters
    ----------
    ready
        Earliest time [UTC seconds].
    zone
        Position of the zone the schedule is kept in.
    hours
        24 weights, one per hour of the day.
    """
    local = zones.to_local(ready, zone)
    drawn = rng.choice(24, size=len(ready), p=hours / hours.sum())
    slot: Floats = np.floor(local / DAY) * DAY + drawn * HOUR + rng.integers(0, int(HOUR), len(ready))
    slot = slot + np.where(slot < local, DAY, 0.0)
    return zones.to_utc(after_weekend(slot, keep=weekends), zone)


def after_weekend(local: Floats, *, keep: Flags | bool = False) -> Floats:
    """Move Saturdays to Monday and Sundays to Tuesday, except rows in `keep`."""
    moved = (weekday(local) >= SATURDAY) & ~np.asarray(keep)
    return local + np.where(moved, 2 * DAY, 0.0)


def at_waking_hours(utc: Floats, zone: Ints, zones: Zones, rng: np.random.Generator) -> Floats:
    """Move what would happen between 22:00 and 07:00 local time to the following early morning."""
    local = zones.to_local(utc, zone)
    night = ~np.isin(hour(np.nan_to_num(local)), range(7, 22))
    morning = np.floor((local + 2 * HOUR) / DAY) * DAY + 7 * HOUR + rng.uniform(0, 2 * HOUR, len(utc))
    return np.where(night, zones.to_utc(morning, zone), utc)


Table: TypeAlias = dict[str, Any]
"""Named columns of one length, as numpy arrays."""


def concatenated(parts: Sequence[Table]) -> Table:
    """One table below the other; all have the first one's columns."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def taken(table: Table, rows: Ints | Flags) -> Table:
    """The chosen rows of a table."""
    return {name: column[rows] for name, column in table.items()}


def happens(chance: float | Floats, size: int, rng: np.random.Generator) -> Flags:
    """Decide `size` times whether something of this probability happens; one probability per draw may be given."""
    drawn: Flags = rng.random(size) < chance
    return drawn


WINDOW_DAYS = 182


class SequenceArrays:
    """
    The sequences of a model as arrays, with the ids the resources get.

    Sequences, steps, variants and templates are numbered from 1 in the order they are planned; arrays are indexed by
    id - 1. ``step_at[sequence, order]`` and ``variant_at[step, number]`` hold positions, -1 where there is none.
    """

    def __init__(self, model: Model, as_of: float) -> None:
        def moment(days_before: float | None) -> float:
            return np.nan if days_before is None else as_of - days_before * DAY

        self.plans: tuple[SequencePlan, ...] = model.sequences
        self.steps: list[Step] = [step for plan in self.plans for step in plan.steps]
        self.variants: list[Variant] = [variant for step in self.steps for variant in step.variants]

        lengths = [len(plan.steps) for plan in self.plans]
        self.step_sequence: Ints = np.repeat(np.arange(len(self.plans)), lengths)
        self.step_order: Ints = np.concatenate([np.arange(length) for length in lengths])
        self.step_at = _grid(self.step_sequence, self.step_order, shape=(len(self.plans), max(lengths)))
        self.kind: Ints = np.array([step.kind for step in self.steps])
        self.wait: Floats = np.array([step.wait_days * DAY for step in self.steps])
        self.decay: Floats = np.array([step.decay for step in self.steps])
        self.date: Floats = np.array([moment(step.date_day) for step in self.steps])
        self.autoskip: Floats = np.array(
            [np.nan if s.autoskip_days is None else s.autoskip_days * DAY for s in self.steps]
        )

        counts = [len(step.variants) for step in self.steps]
        self.variant_step: Ints = np.repeat(np.arange(len(self.steps)), counts)
        number = np.concatenate([np.arange(count) for count in counts])
        self.variant_at = _grid(self.variant_step, number, shape=(len(self.steps), max(counts)))
        self.template_names: list[str] = list(dict.fromkeys(variant.template for variant in self.variants))
        self.template: Ints = np.array([self.template_names.index(variant.template) for variant in self.variants])
        self.lift: Floats = np.array([variant.lift for variant in self.variants])
        self.share: Floats = np.array([variant.share for variant in self.variants])
        self.opens: Floats = np.array([plan.start_day for plan in self.plans]) * -DAY + as_of
        self.variant_from: Floats = np.array(
            [
                self.opens[self.step_sequence[step]] if variant.from_day is None else moment(variant.from_day)
                for variant, step in zip(self.variants, self.variant_step, strict=True)
            ]
        )
        self.variant_until: Floats = np.array([moment(variant.until_day) for variant in self.variants])

        self.until: Floats = np.array([moment(plan.until_day) for plan in self.plans])
        self.closed: Floats = np.array([moment(plan.closed_day) for plan in self.plans])
        self.reply: Floats = np.array([plan.reply for plan in self.plans])
        self.opened: Floats = np.array([plan.opened for plan in self.plans])
        self.clicked: Floats = np.array([plan.clicked for plan in self.plans])
        self.opt_out: Floats = np.array([plan.opt_out for plan in self.plans])
        self.positive: Floats = np.array([plan.positive for plan in self.plans])
        self.weight: Floats = np.array([plan.weight for plan in self.plans])
        self.dated: Flags = np.array([plan.dated for plan in self.plans])
        self.transactional: Flags = np.array([plan.transactional for plan in self.plans])
        self.finish_on_reply: Flags = np.array([plan.finish_on_reply for plan in self.plans])
        self.tracks_opens: Flags = np.array([plan.track_opens for plan in self.plans])
        self.tracks_links: Flags = np.array([plan.track_links for plan in self.plans])
        self.throttled: Flags = np.array([plan.throttled for plan in self.plans])

    def deal_variants(self, steps: Ints, sent: Floats, rng: np.random.Generator) -> Ints:
        """Choose a variant for each message among those switched on at the time, by their shares."""
        candidates = self.variant_at[steps]
        on = (candidates >= 0) & (self.variant_from[candidates] <= sent[:, None])
        on &= ~(self.variant_until[candidates] <= sent[:, None])
        weights = np.where(on, self.share[candidates], 0.0)
        weights[:, 0] += weights.sum(axis=1) == 0
        bounds = np.cumsum(weights, axis=1)
        drawn = rng.random(len(steps)) * bounds[:, -1]
        chosen: Ints = candidates[np.arange(len(steps)), (drawn[:, None] >= bounds).sum(axis=1)]
        return chosen


def _grid(row: Ints, column: Ints, *, shape: tuple[int, int]) -> Ints:
    grid = np.full(shape, -1)
    grid[row, column] = np.arange(len(row))
    return grid


@dataclass(frozen=True, slots=True)
class Simulation:
    """
    The fixed ground of one simulation.

    Attributes
    ----------
    as_of, start
        Now, and the first day of activity [seconds since 1970]; nothing has happened after `as_of`.
    """

    model: Model
    programme: SequenceArrays
    zones: Zones
    as_of: float
    start: float
    seed: int

    @classmethod
    def make(cls, model: Model, *, seed: int, as_of: datetime) -> "Simulation":
        """Build the setting for an instant, which must carry a time zone."""
        if as_of.tzinfo is None:
            raise ValueError("as_of needs a time zone, for example datetime(2026, 3, 31, tzinfo=UTC)")
        now = float(int(as_of.astimezone(UTC).timestamp()))
        start = now - WINDOW_DAYS * DAY
        names = tuple(dict.fromkeys(city.zone for city in CITIES))
        zones = Zones(names, first=start - 400 * DAY, last=now)
        return cls(model, SequenceArrays(model, now), zones, now, start, seed)

    def random(self, part: str) -> np.random.Generator:
        """Random numbers of one part of the simulation; drawing more in one part does not move another."""
        return np.random.default_rng((self.seed, crc32(part.encode())))

    def before(self, days: float) -> float:
        """Return the instant this many days before now."""
        return self.as_of - days * DAY

    def until_now(self, moments: Floats) -> Floats:
        """Return the moments, with those still to come as NaN."""
        return np.where(moments <= self.as_of, moments, np.nan)
