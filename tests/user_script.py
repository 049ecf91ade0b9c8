"""A script as a user writes it; ``tests/test_public_surface.py`` has it checked strictly."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import polars as pl

import outreach_frames as of
from outreach_frames import plots, stats
from outreach_frames.errors import OutreachError, RateLimitError


def reply_rates(org: of.Client, folder: Path) -> pd.DataFrame:
    """Fetch, count, draw and keep."""
    mailings: pd.DataFrame = of.fetch_mailings(
        org, filter={"delivered_at": of.between("2026-01-01", None)}, include={"sequence": ["name"]}, limit=1_000
    )
    sequences = of.fetch(org, "sequences", fields=["name"], sort="name")
    rates: pd.DataFrame = stats.sequence_engagement(mailings, sequences=sequences)
    _, ax = plt.subplots()
    plots.plot_rates(rates, ax=ax).set_title("Replies")
    snapshot: of.Snapshot = of.take_snapshot(org, folder / "snapshot", resources=["mailings", "users"])
    users: pd.DataFrame = snapshot.sql("select id from users")
    first: pd.Series = of.fetch_one(org, "users", int(users["id"].iloc[0]))
    print(first["name"], of.count(org, "prospects"), *of.findings.tell(rates, limit=2), sep="\n")
    of.export(rates, folder / "rates.csv")
    written: pd.DataFrame = of.write_frame(org, "prospects", pd.DataFrame({"first_name": ["Ada"]}), mode="create")
    return rates.assign(created=len(written))


def kinds_of_frames(org: of.Client, snapshot: of.Snapshot) -> int:
    """Ask for frames of other kinds: what comes back is known before it comes."""
    numpy: pd.DataFrame = of.fetch(org, "mailings", dtypes="numpy", limit=5)
    arrow: pd.DataFrame = of.fetch_mailings(org, dtypes="arrow", limit=5)
    fetched: pl.DataFrame = of.fetch_mailings(org, as_="polars", limit=5)
    any_type: pl.DataFrame = of.fetch(org, "prospects", as_="polars", limit=5)
    tables: dict[str, pd.DataFrame] = of.fetch_tables(org, "mailings", include="prospect", limit=5)
    stored: pl.DataFrame = snapshot.frame("mailings", as_="polars")
    plain: pd.DataFrame = snapshot.frame("mailings", dtypes="numpy")
    columns = of.fetch(org, "users", as_="pyarrow").column_names
    return (
        len(numpy) + len(arrow) + len(plain) + len(tables) + len(columns) + sum(map(len, (fetched, any_type, stored)))
    )


def statistics_of_sources(org: of.Client, snapshot: of.Snapshot, mailings: pl.DataFrame) -> int:
    """Count by words, in a period: from a snapshot, from a connection, and from frames of other kinds."""
    by_persona: pd.DataFrame = stats.engagement(snapshot, by=["sequence", "persona"], period="2026-Q1")
    teams: pd.DataFrame = stats.engagement(snapshot, by="team", since="2026-01-01", until=pd.Timestamp("2026-04-01"))
    meetings: pd.DataFrame = stats.meetings(org, by="sequence", tz="Europe/Berlin", period="last_month")
    months: pd.DataFrame = stats.compare_periods(
        snapshot, statistic=stats.engagement, a="2026-01", b="2026-02", by="sequence", metric="enrollment_reply_rate"
    )
    waits: pd.DataFrame = stats.reply_within(stats.time_to_event(snapshot, by="rep", period="90d"), by="user_id")
    own_kind: pl.DataFrame = stats.engagement(mailings, by="sequence_id", period="2026-01")
    by_name: pd.DataFrame = stats.step_funnel({"mailings": teams, "sequence_steps": months})
    return len(own_kind) + sum(len(frame) for frame in [by_persona, teams, meetings, months, waits, by_name])


def main() -> None:
    """Run it on the embedded organization."""
    try:
        with of.sandbox(prospects=200, seed=7) as org:
            print(reply_rates(org, Path("out")))
            print(kinds_of_frames(org, of.open_snapshot("out/snapshot")))
    except RateLimitError as error:
        print(error.resets_at)
    except OutreachError as error:
        print(error.hint)


if __name__ == "__main__":
    main()
