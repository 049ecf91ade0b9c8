"""
Tables of an organization of any size, as Parquet files: mailings with the 44 columns of `fetch`, and what goes along.

Four mailings make an enrollment, one enrollment in ten is one-off mail without a sequence, one in five is the second
one of its person. There are 200 sequences of four steps.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from flattening import layout_of

AS_OF = "2026-07-01T00:00:00Z"
DAY = 86_400_000_000
START = 1_767_225_600_000_000
"""2026-01-01 [µs]."""
SEQUENCES = 200
STEPS = 4
_CHUNK = 1_000_000
COLUMNS = layout_of("mailings", fields=None).schema
_SHARES = {
    "delivered_at": (0.96, 60_000_000),
    "bounced_at": (0.02, 90_000_000),
    "opened_at": (0.4, DAY),
    "clicked_at": (0.05, DAY),
    "replied_at": (0.04, 2 * DAY),
    "unsubscribed_at": (0.005, DAY),
    "created_at": (1.0, 0),
    "marked_as_spam_at": (0.001, DAY),
}
"""Of some instants: how often they are there, and how long after the mailing's creation [µs]."""


def write(folder: Path, mailings: int) -> None:
    """Write the tables, one Parquet file for each."""
    with pq.ParquetWriter(folder / "mailings.parquet", COLUMNS, compression="zstd") as writer:
        for first in range(0, mailings, _CHUNK):
            writer.write_table(mailings_table(min(_CHUNK, mailings - first), first))
    enrollments = np.arange(-(-mailings // STEPS))
    enrolled = _sequence(enrollments)
    sequenced = ~enrolled.mask
    tables = {
        "sequences": {"id": np.arange(1, SEQUENCES + 1), "name": [f"Sequence {n}" for n in range(1, SEQUENCES + 1)]},
        "sequence_steps": {
            "id": np.arange(1, SEQUENCES * STEPS + 1),
            "sequence_id": np.arange(SEQUENCES * STEPS) // STEPS + 1,
            "order": np.arange(SEQUENCES * STEPS) % STEPS + 1,
            "step_type": ["auto_email"] * (SEQUENCES * STEPS),
        },
        "sequence_states": {
            "id": enrollments[sequenced] + 1,
            "sequence_id": enrolled.data[sequenced],
            "state": _words(["active", "finished", "paused", "bounced"], enrollments[sequenced]),
            "created_at": pa.array(_enrolled_at(enrollments[sequenced]), pa.timestamp("us", "UTC")),
        },
        "prospects": {
            "id": enrollments + 1,
            "time_zone_iana": _words(
                ["America/New_York", "Europe/Berlin", "Asia/Tokyo", "America/Denver"], enrollments
            ),
            "time_zone_inferred": pa.nulls(len(enrollments), pa.string()),
            "time_zone": pa.nulls(len(enrollments), pa.string()),
        },
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", compression="zstd")


def _sequence(enrollment: np.ndarray) -> np.ma.MaskedArray:
    return np.ma.masked_array(enrollment * 7919 % SEQUENCES + 1, mask=enrollment % 10 == 9)


def _enrolled_at(enrollment: np.ndarray) -> np.ndarray:
    return START + enrollment * 2_654_435_761 % (160 * 86_400) * 1_000_000


def _words(words: list[str], numbers: np.ndarray) -> pa.Array:
    return pa.array(words).take(pa.array(numbers % len(words)))


def mailings_table(n: int, first: int = 0) -> pa.Table:
    """Draw mailings from a number on."""
    rng = np.random.default_rng(first)
    number = first + np.arange(n)
    enrollment, step = number // STEPS, number % STEPS
    created = _enrolled_at(enrollment) + step * 2 * DAY
    sequence = _sequence(enrollment)
    numbers = {
        "id": number + 1,
        "sequence_id": sequence,
        "sequence_state_id": np.ma.masked_array(enrollment + 1, mask=sequence.mask),
        "sequence_step_id": (sequence - 1) * STEPS + step + 1,
        "prospect_id": np.ma.masked_array(enrollment - (enrollment % 5 == 4) + 1, mask=enrollment % 1000 == 500),
        "mailbox_id": enrollment % 50 + 1,
        "user_id": enrollment % 50 + 1,
        "open_count": np.where(rng.random(n) < 0.4, rng.integers(1, 5, n), 0),
        "click_count": (rng.random(n) < 0.05).astype(np.int64),
    }

    def column(field: pa.Field) -> pa.Array:
        kind: Any = field.type
        if field.name in numbers:
            values = numbers[field.name]
            return pa.array(np.ma.getdata(values), kind, mask=np.ma.getmaskarray(values))
        if pa.types.is_timestamp(kind):
            share, delay = _SHARES.get(field.name, (0.3, DAY))
            return pa.array(created + delay, kind, mask=rng.random(n) >= share)
        if field.name == "message_id":
            return pc.binary_join_element_wise(pa.array(number).cast(pa.string()), "mail.example.com", "@")
        return _filler(field, rng, n)

    return pa.Table.from_arrays([column(field).cast(field.type) for field in COLUMNS], schema=COLUMNS)


def _filler(field: pa.Field, rng: np.random.Generator, n: int) -> pa.Array:
    """Draw a column that no statistic here looks at closely; three values in five are there."""
    absent = rng.random(n) > 0.6
    if pa.types.is_boolean(field.type):
        return pa.array(rng.random(n) < 0.9, mask=absent)
    if pa.types.is_integer(field.type):
        return pa.array(rng.integers(1, 10_000, n), mask=absent)
    texts = _words([f"{field.name} {k}" for k in range(97)], rng.integers(0, 97, n))
    if pa.types.is_list(field.type):
        offsets = np.concatenate([[0], np.cumsum(~absent)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), texts.filter(pa.array(~absent)))
    return pc.if_else(pa.array(absent), pa.scalar(None, pa.string()), texts)
