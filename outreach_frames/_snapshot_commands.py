"""The commands ``snapshot`` and ``refresh``, and what they share with the others of the command line."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
ACCOUNT = click.option(
    "--profile", default=None, help="Sign-in to use; default: OUTREACH_TOKEN, else OUTREACH_PROFILE, else 'default'."
)
NOTEBOOK = click.option(
    "--notebook", default="how_are_our_sequences_doing", show_default=True, help="Name or path of a report's notebook."
)
LINKS_OPTION = click.option(
    "--links", metavar="URL", help="Your Outreach web app: ids in tables then lead to their records there."
)
LOG = click.option(
    "--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json: one line a table."
)
KEEP = click.option("--keep", type=click.IntRange(1), help="Keep this many versions; default: all.")


def printable(text: str) -> str:
    """Escape what a terminal would obey or hide, such as colors, cursor moves and the direction of writing."""
    return "".join(c if c.isprintable() or c in "\n\N{NO-BREAK SPACE}" else ascii(c)[1:-1] for c in text)


def say_tables(snapshot: Any) -> None:
    """Print the rows of each table."""
    for name, facts in snapshot.manifest["tables"].items():
        click.echo(f"  {name:<28}{facts['rows']:>8,} rows")


def write_snapshot_report(
    source: Path, out: Path, notebook: str, *, mail_ready: bool = False, **parameters: Any
) -> Path:
    """Write a report on the current version of a snapshot; parameters that are None keep the notebook's defaults."""
    from outreach_frames.reports import write_report  # noqa: PLC0415

    chosen = {"source": str(source.resolve())} | {k: value for k, value in parameters.items() if value is not None}
    return write_report(out, notebook=notebook, parameters=chosen, mail_ready=mail_ready)


def _log_tables(snapshot: Any, log: str) -> None:
    """Print one line for each table."""
    if log == "text":
        say_tables(snapshot)
        return
    for name, facts in snapshot.manifest["tables"].items():
        line = {"table": name, "rows": facts["rows"], "as_of": facts["as_of"], "version": snapshot.version}
        click.echo(json.dumps(line))


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


@snapshots.command()
@click.argument("path", type=FOLDER)
@click.option("--webhooks", "store", type=FILE, required=True, help="Store of `webhooks serve`.")
@LOG
@KEEP
def apply(path: Path, *, store: Path, log: str, keep: int | None) -> None:
    """Bring a snapshot up to the webhook deliveries received; nothing is asked of the API."""
    import outreach_frames as of  # noqa: PLC0415

    _log_tables(of.open_snapshot(path).apply(of.webhooks.read(store), keep=keep), log)


@click.command()
@click.argument("path", type=FOLDER)
@click.option(
    "--deletions",
    type=click.Choice(["counts", "sweep", "webhooks", "none"]),
    default="counts",
    show_default=True,
    help="How deleted records are found.",
)
@click.option("--webhooks", "store", type=FILE, help="Store of `webhooks serve`, for --deletions webhooks.")
@click.option("--report", type=FILE, help="Write a report after it.")
@NOTEBOOK
@LINKS_OPTION
@LOG
@KEEP
@ACCOUNT
def refresh(
    path: Path,
    *,
    deletions: Any,
    store: Path | None,
    report: Path | None,
    notebook: str,
    links: str | None,
    log: str,
    keep: int | None,
    profile: str | None,
) -> None:
    """Bring a snapshot up to date: only what changed is asked for. Made for cron; one writes at a time."""
    import outreach_frames as of  # noqa: PLC0415

    if (deletions == "webhooks") != (store is not None):
        raise click.UsageError("--deletions webhooks and --webhooks go together.")
    if report is not None:
        from outreach_frames.reports import checked_notebook  # noqa: PLC0415

        checked_notebook(report, notebook)
    before = of.open_snapshot(path)
    deliveries = None if store is None else of.webhooks.read(store)
    with of.connect(profile=profile) as org:
        after = before.refresh(
            org,
            deletions=False if deletions == "none" else deletions,
            deliveries=deliveries,
            keep=keep,
            progress=log == "text" and None,
        )
    _log_tables(after, log)
    if report is not None:
        written = write_snapshot_report(path, report, notebook, links=links)
        if log == "text":
            click.echo(f"Written to {written}")
