"""
What design effects cost: engagement with trials that belong together, against independent ones.

Run ``python tests/benchmarks/clusters.py [mailings] [rounds] [people an account] [accounts in one sequence: 1 or 0]``.
The two calls take turns; the counts are checked equal first. Times are of the wall clock, with the garbage collector
on; only their ratio means anything.
"""

import sys
import time

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from outreach_frames import stats

AS_OF = "2026-07-01T00:00:00Z"
DAY = 86_400_000_000
START = 1_767_225_600_000_000


def mail(n: int, people: int = 4, together: int = 1) -> pa.Table:
    """Draw mailings of four an enrollment, in 200 sequences; the people of an account are in one of them, or in any."""
    rng = np.random.default_rng(1)
    number = np.arange(n)
    sent = START + rng.integers(0, 170 * DAY, n)

    def instants(share: float, delay: int) -> pa.Array:
        return pa.array(sent + delay, pa.timestamp("us", "UTC"), mask=rng.random(n) > share)

    person = number // 4
    return pa.table(
        {
            "id": pa.array(number + 1),
            "state": pa.array(["delivered"]).take(pa.array(np.zeros(n, dtype=np.int32))),
            "created_at": instants(1.0, 0),
            "delivered_at": instants(0.98, 60),
            "bounced_at": instants(0.02, 90),
            "opened_at": instants(0.4, DAY),
            "open_count": pa.array((rng.random(n) < 0.4).astype(np.int64)),
            "clicked_at": instants(0.05, DAY),
            "click_count": pa.array((rng.random(n) < 0.05).astype(np.int64)),
            "replied_at": instants(0.04, 2 * DAY),
            "unsubscribed_at": instants(0.005, DAY),
            "marked_as_spam_at": instants(0.0, 0),
            "track_opens": pa.array(np.ones(n, dtype=bool)),
            "track_links": pa.array(np.ones(n, dtype=bool)),
            "prospect_id": pa.array(person + 1),
            "account_id": pa.array(person // people + 1),
            "sequence_id": pa.array((person // people if together else person) % 200 + 1),
            "sequence_state_id": pa.array(person + 1),
            "mailbox_id": pa.array(person % 50 + 1),
            "user_id": pa.array(person % 50 + 1),
        }
    )


def collected(frame: object) -> pa.Table:
    """Return what an engine gives as an Arrow table."""
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect().to_arrow()
    return frame.to_arrow() if isinstance(frame, pl.DataFrame) else frame.to_arrow_table()  # type: ignore[attr-defined]


def main(n: int = 2_000_000, rounds: int = 3, people: int = 4, together: int = 1) -> None:
    table = mail(n, people, together)
    engines = {"polars": pl.from_arrow(table), "duckdb": duckdb.from_arrow(table), "pyarrow": table}
    for name, frame in engines.items():
        seconds: dict[str, list[float]] = {"auto": [], "none": []}
        counts = {}
        for _ in range(rounds):
            for label, cluster in (("none", None), ("auto", "auto")):
                began = time.perf_counter()
                result = collected(stats.engagement(frame, by="sequence_id", cluster=cluster, as_of=AS_OF))
                seconds[label].append(time.perf_counter() - began)
                counts[label] = result.sort_by("sequence_id").select(["sequence_id", "replied", "delivered", "opened"])
        assert counts["auto"].equals(counts["none"].cast(counts["auto"].schema)), name
        alone, grouped = (min(seconds[label]) for label in ("none", "auto"))
        print(f"{name}: {alone:.2f} s alone, {grouped:.2f} s together, {grouped / alone:.2f} times")  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
