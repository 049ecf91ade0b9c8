"""The commands ``snapshot`` and ``refresh``, and what they share with the others of the command line."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(file_okay=False, path_type=Path)
ACCOUNT = click.option(
    "--profile", default=None, help="Sign-in to use; default: OUTREACH_TOKEN, else OUTREACH_PROFILE, else 'default'."
)
KEEP = click.option("--keep", type=click.IntRange(1), help="Keep this many versions; default: all.")


def printable(text: str) -> str:
    """Escape what a terminal would obey or hide, such as colors, cursor moves and the direction of writing."""
    return "".join(c if c.isprintable() or c in "\n\N{NO-BREAK SPACE}" else ascii(c)[1:-1] for c in text)


def say_tables(snapshot: Any) -> None:
    """Print the rows of each table."""
    for name, facts in snapshot.manifest["tables"].items():
        click.echo(f"  {name:<28}{facts['rows']:>8,} rows")


class _SnapshotCommands(click.Group):
    """``snapshot PATH`` takes a snapshot; ``snapshot verify PATH`` and others are commands of their own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["take", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_SnapshotCommands, name="snapshot")
def snapshots() -> None:
    """Take, verify or export a snapshot: tables as Parquet files. A bare PATH takes one."""


@snapshots.command()
@click.argument("path", type=FOLDER)
@click.option("--resources", help="Resource types, separated by commas; default: what the statistics read.")
@click.option(
    "--resume",
    is_flag=True,
    help="Take over pages of the last hour from the cache.",
)
@click.option("--plan", is_flag=True, help="Say what it will cost, and take nothing.")
@KEEP
@ACCOUNT
def take(path: Path, *, resources: str | None, resume: bool, plan: bool, keep: int | None, profile: str | None) -> None:
    """Extract a live organization's tables into a new version of a snapshot folder."""
    import outreach_frames as of  # noqa: PLC0415

    names = [name.strip() for name in resources.split(",")] if resources else None
    with of.connect(profile=profile) as org:
        if plan:
            click.echo(printable(of.plan_snapshot(org, path, resources=names).to_string(index=False)))
            return
        taken = of.take_snapshot(org, path, resources=names, refresh=not resume, keep=keep)
    say_tables(taken)
    click.echo(f"Written to {taken.folder}")


@snapshots.command()
@click.argument("path", type=FOLDER)
@click.option("--live", is_flag=True, help="Compare with what the API counts now, too.")
@ACCOUNT
def verify(path: Path, *, live: bool, profile: str | None) -> None:
    """Check files, rows, ids and times of a snapshot; exit code 1 where one is wrong."""
    import outreach_frames as of  # noqa: PLC0415

    opened = of.open_snapshot(path)
    with of.connect(profile=profile) if live else nullcontext() as org:
        checks = opened.verify(org)
    click.echo(printable(checks.to_string(index=False)))
    failed = checks[checks["passed"].eq(other=False).fillna(value=False)]
    if len(failed):
        raise click.ClickException(f"{failed['check'].iloc[0]} of {failed['table'].iloc[0]} is wrong.")


@snapshots.command()
@click.argument("path", type=FOLDER)
@click.argument("place")
@click.option(
    "--format", "form", type=click.Choice(["parquet", "csv", "xlsx", "duckdb"]), default="parquet", show_default=True
)
@click.option("--table", "tables", multiple=True, help="Table to export; may be given again. Default: all.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@click.option("--timezone", default="UTC", show_default=True, help="Zone of instants in CSV and Excel.")
def export(path: Path, place: str, *, form: Any, tables: tuple[str, ...], overwrite: bool, timezone: str) -> None:
    """Write tables to PLACE: a folder, a file for DuckDB, or an address such as s3://bucket/folder."""
    import outreach_frames as of  # noqa: PLC0415

    opened = of.open_snapshot(path)
    files = opened.export(place, format=form, tables=tables or None, overwrite=overwrite, timezone=timezone)
    for name, rows in files.groupby("table", sort=False)["rows"].sum().items():
        click.echo(f"  {name:<28}{rows:>8,} rows")
    click.echo("Exported.")


@click.command()
@click.argument("path", type=FOLDER)
@click.option("--deletions", type=click.Choice(["counts", "sweep", "none"]), default="counts", show_default=True)
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="One line a table.")
@KEEP
@ACCOUNT
def refresh(path: Path, *, deletions: Any, log: str, keep: int | None, profile: str | None) -> None:
    """Bring a snapshot up to date: only what changed is asked for. Made for cron; one writes at a time."""
    import outreach_frames as of  # noqa: PLC0415

    before = of.open_snapshot(path)
    with of.connect(profile=profile) as org:
        after = before.refresh(
            org, deletions=False if deletions == "none" else deletions, keep=keep, progress=log == "text" and None
        )
    if log == "text":
        say_tables(after)
        return
    for name, facts in after.manifest["tables"].items():
        line = {"table": name, "rows": facts["rows"], "as_of": facts["as_of"], "version": after.version}
        click.echo(json.dumps(line))
