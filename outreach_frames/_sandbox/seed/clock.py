"""
Time as the simulation counts it: seconds since 1970 in UTC, held in floats so that "never" can be NaN.

Comparisons with NaN are false and `numpy.fmin` passes it over, which is exactly how "has not happened" should behave.
Local time is needed to keep business hours; a zone's offset is looked up per local day, at noon. That is exact for
every hour people work, because clocks change at night.
"""

from datetime import UTC, datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

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
