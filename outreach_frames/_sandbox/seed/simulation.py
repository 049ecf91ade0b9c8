"""What every part of the simulation shares: clock, random streams and sequences."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zlib import crc32

import numpy as np

from outreach_frames._sandbox.seed.clock import DAY, Flags, Floats, Ints, Zones
from outreach_frames._sandbox.seed.model import Model, SequencePlan, Step, Variant
from outreach_frames._sandbox.seed.names import CITIES


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
