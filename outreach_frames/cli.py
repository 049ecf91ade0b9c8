"""The command ``outreach-frames``; exit codes are 0, 1 (failed) and 2 (usage)."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

import click

from outreach_frames import __version__
from outreach_frames._hidden import hidden
from outreach_frames.errors import AuthError, OutreachError, PermissionDeniedError

DEMO_FOLDER = Path("outreach-demo")
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


class _Commands(click.Group):
    """Prints this package's errors as sentences, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OutreachError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise click.FileError(str(error.filename), error.strerror) from error


PROFILE = click.option(
    "--profile", default="default", show_default=True, envvar="OUTREACH_PROFILE", help="Name of the sign-in."
)
ACCOUNT = click.option(
    "--profile", default=None, help="Sign-in to use; default: OUTREACH_TOKEN, else OUTREACH_PROFILE, else 'default'."
)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="outreach-frames")
def main() -> None:
    """Outreach organisations as DataFrames: fetch, statistics, pictures, Parquet, reports."""


@main.command()
@click.option("--out", type=FOLDER, default=DEMO_FOLDER, show_default=True, help="Folder that the results go to.")
@click.option("--prospects", default=2_000, show_default=True, type=click.IntRange(1), help="Size of the organisation.")
@click.option("--seed", default=7, show_default=True, help="The same seed means the same organisation.")
def demo(out: Path, prospects: int, seed: int) -> None:
    """Show the whole path on a made-up organisation: fetch, snapshot, statistics, report. Needs no account."""
    import outreach_frames as of  # noqa: PLC0415  pandas is loaded only by the commands that need it
    from outreach_frames.reports import write_report  # noqa: PLC0415

    click.echo(f"Starting an embedded Outreach organisation with {prospects:,} made-up prospects (seed {seed}).")
    with of.sandbox(prospects=prospects, seed=seed) as org:
        click.echo(f"It listens on this machine only, at {org.base_url}.\n")
        click.echo("Fetching its tables over HTTP and writing them as Parquet files:")
        snapshot = of.take_snapshot(org, out / "snapshot")
    _say_tables(snapshot)
    click.echo("\nComputing statistics, drawing pictures and writing the report (about half a minute) …")
    report = write_report(out / "report.html", parameters={"source": str(snapshot.path.resolve())})
    _say_headlines(of.stats.engagement(snapshot.frame("mailings"), include_unsequenced=True))
    click.echo(f"\nThe report:  {report}   (open it in a browser; it needs no network)")
    click.echo(f"The tables:  {snapshot.folder}   (Parquet: pandas, DuckDB, polars, Spark … read them)")
    click.echo("Next:        open notebooks/ in Jupyter, or run: outreach-frames --help")


def _say_tables(snapshot: Any) -> None:
    for name, facts in snapshot.manifest["tables"].items():
        click.echo(f"  {name:<28}{facts['rows']:>8,} rows")


def _say_headlines(engagement: Any) -> None:
    """Print the headline rates with their 95 % intervals."""
    row = engagement.astype(object).iloc[0]  # whole numbers stay whole beside fractions
    click.echo(f"\nOf {row['sent']:,} mails sent, {row['delivered']:,} were delivered:")
    for name, label in {
        "enrolment_reply_rate": "enrolments that replied",
        "reply_rate": "mails that were replied to",
        "bounce_rate": "mails that bounced",
        "opt_out_rate": "mails that led to an opt-out",
    }.items():
        rate, low, high = (row[name + end] for end in ("", "_lo", "_hi"))
        click.echo(f"  {label:<30}{rate:>6.1%}   (95 % interval {low:.1%} to {high:.1%}, n = {row[f'{name}_n']:,})")


@main.command()
@click.argument("resource")
@click.option("--out", type=FILE, required=True, help="File to write; .parquet or .csv.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Keep what fits; LOW..HIGH for a range, a name given twice for any of.",
)
@click.option("--fields", help="Columns, separated by commas.")
@click.option("--include", help="Relationships to join, separated by commas.")
@click.option("--sort", help="Attributes to sort by, separated by commas; - before one for descending.")
@click.option("--limit", type=click.IntRange(0), help="Stop after this many rows.")
@click.option("--refresh", is_flag=True, help="Ask the API even for what the cache has, which is at most an hour old.")
@ACCOUNT
def fetch(
    resource: str,
    *,
    out: Path,
    filters: tuple[str, ...],
    fields: str | None,
    include: str | None,
    sort: str | None,
    limit: int | None,
    refresh: bool,
    profile: str | None,
) -> None:
    """Fetch one resource type from a live organisation into a file."""
    import outreach_frames as of  # noqa: PLC0415
    from outreach_frames.snapshots import write_parquet  # noqa: PLC0415

    if out.suffix not in {".parquet", ".csv"}:
        raise click.BadParameter("the file must end in .parquet or .csv", param_hint="--out")
    if not out.parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.parent}", param_hint="--out")
    with _replaced(out) as aside, of.connect(profile=profile) as org:
        frame = of.fetch(
            org,
            resource,
            filter=_filters(filters),
            fields=fields.split(",") if fields and fields != "*" else fields,
            include=include,
            sort=sort,
            limit=limit,
            refresh=refresh,
        )
        if out.suffix == ".parquet":
            write_parquet(frame, aside)
        else:
            frame.to_csv(aside, index=False)
    click.echo(f"{len(frame):,} rows in {out}")


@contextmanager
def _replaced(out: Path) -> Iterator[Path]:
    """Give a file to write beside `out`, which takes its place once it is whole and is gone otherwise."""
    aside = out.with_name(f".{uuid.uuid4().hex}{out.suffix}")
    try:
        aside.touch()  # a place that cannot be written is found out before anything is fetched
        yield aside
        aside.replace(out)
    except OutreachError:
        raise
    except OSError as error:
        raise click.FileError(str(out), error.strerror) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _filters(texts: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE, NAME=LOW..HIGH with either end open, and NAME= for null; a name given twice means any of."""
    from outreach_frames.query import between  # noqa: PLC0415

    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--filter")
        low, dots, high = value.partition("..")
        read = between(low or None, high or None) if dots else value or None
        found[name] = (
            [*found[name], read]
            if isinstance(found.get(name), list)
            else [found[name], read]
            if name in found
            else read
        )
    return found


@main.command()
@click.argument("path", type=FOLDER)
@click.option("--resources", help="Resource types, separated by commas; default: what the statistics read.")
@click.option("--resume", is_flag=True, help="Go on after a failure: take what the last hour's attempts have fetched.")
@ACCOUNT
def snapshot(path: Path, *, resources: str | None, resume: bool, profile: str | None) -> None:
    """Extract a live organisation's tables into a new version of a snapshot folder."""
    import outreach_frames as of  # noqa: PLC0415

    with of.connect(profile=profile) as org:
        taken = of.take_snapshot(
            org,
            path,
            resources=[name.strip() for name in resources.split(",")] if resources else None,
            refresh=not resume,
        )
    _say_tables(taken)
    click.echo(f"Written to {taken.folder}")


@main.command()
@click.argument("path", type=FOLDER)
@click.argument("query")
def sql(path: Path, query: str) -> None:
    """Query a snapshot with SQL; each table has its own name."""
    import duckdb  # noqa: PLC0415

    import outreach_frames as of  # noqa: PLC0415

    try:
        result = of.open_snapshot(path).sql(query)
    except duckdb.Error as error:
        raise click.ClickException(str(error)) from error
    click.echo(result.to_string(index=False))


@main.command()
@click.option("--snapshot", "source", type=FOLDER, required=True, help="The snapshot to report on.")
@click.option(
    "--notebook", default="how_are_our_sequences_doing", show_default=True, help="Name or path of a notebook."
)
@click.option("--out", type=FILE, default=Path("report.html"), show_default=True, help="The file to write.")
@click.option("--links", metavar="URL", help="Your Outreach web app: ids in tables then lead to their records there.")
def report(source: Path, notebook: str, out: Path, *, links: str | None) -> None:
    """Execute a notebook on a snapshot and write one self-contained HTML file."""
    import outreach_frames as of  # noqa: PLC0415
    from outreach_frames.reports import write_report  # noqa: PLC0415

    of.open_snapshot(source)
    chosen = {"source": str(source.resolve()), "links": links}
    written = write_report(out, notebook=notebook, parameters={name: value for name, value in chosen.items() if value})
    click.echo(f"Written to {written}")


@main.command()
@click.option("--prospects", default=2_000, show_default=True, type=click.IntRange(1), help="Size of the organisation.")
@click.option("--seed", default=7, show_default=True, help="The same seed means the same organisation.")
def sandbox(prospects: int, seed: int) -> None:
    """Serve an embedded organisation on this machine until interrupted."""
    import outreach_frames as of  # noqa: PLC0415

    with of.sandbox(prospects=prospects, seed=seed) as org, suppress(KeyboardInterrupt):
        token = org.sandbox.token if org.sandbox else ""
        click.echo(f"OUTREACH_BASE_URL={org.base_url}\nOUTREACH_TOKEN={token}\nCtrl-C stops it.")
        Event().wait()


SCOPES = (
    "accounts calls events mailboxes mailings opportunities prospects sequences sequenceStates sequenceSteps "
    "sequenceTemplates stages tasks teams templates users"
)
"""What the fetch functions and the report read."""


@main.command()
@PROFILE
@click.option(
    "--redirect-uri",
    envvar="OUTREACH_REDIRECT_URI",
    default="http://localhost:8976/callback",
    show_default=True,
    help="As registered with the app; on this machine the code is caught, elsewhere it is pasted.",
)
@click.option("--scopes", default=None, help="Scopes, separated by spaces; default: reading what this package reads.")
@click.option("--base-url", envvar="OUTREACH_BASE_URL", default=None, help="Base of the API; default: the public host.")
def login(*, profile: str, redirect_uri: str, scopes: str | None, base_url: str | None) -> None:
    """
    Sign in with OAuth, in the browser.

    The app's client id and secret come from OUTREACH_CLIENT_ID and OUTREACH_CLIENT_SECRET, or are asked for: never from
    the command line, whose history keeps them.
    """
    from outreach_frames.auth import (  # noqa: PLC0415
        App,
        Profiles,
        login as sign_in,
    )
    from outreach_frames.connections import BASE_URL  # noqa: PLC0415
    from outreach_frames.http import TokenEndpoint, remove_account  # noqa: PLC0415

    client_id = os.environ.get("OUTREACH_CLIENT_ID") or click.prompt("Client id of your Outreach app")
    secret = hidden(os.environ.get("OUTREACH_CLIENT_SECRET") or click.prompt("Client secret", hide_input=True))
    app = App(client_id, redirect_uri, base_url or BASE_URL)
    wanted = scopes.split() if scopes else [f"{plural}.read" for plural in SCOPES.split()]
    profiles = Profiles()
    earlier = None
    with suppress(AuthError):  # there is none, or none that can be read
        earlier = profiles.load(profile)
    with closing(TokenEndpoint(app.base_url)) as exchange:
        sign_in(
            app,
            secret,
            wanted,
            exchange=exchange,
            profiles=profiles,
            name=profile,
            ask=lambda url: click.prompt(f"Open this page, agree, and paste the address you are sent to:\n{url}\n"),
            open_browser=_open_browser,
        )
    if earlier is not None:
        remove_account(earlier.app.base_url, earlier.account)
    click.echo(f"Signed in as {profile!r}.")


def _open_browser(url: str) -> None:
    click.echo(f"Agree in the browser. If it does not open, go to:\n{url}")
    click.launch(url)


@main.command()
@ACCOUNT
def whoami(profile: str | None) -> None:
    """Show a sign-in, and whether the API takes it."""
    import outreach_frames as of  # noqa: PLC0415
    from outreach_frames.auth import Profiles  # noqa: PLC0415
    from outreach_frames.connections import DEFAULT_PROFILE  # noqa: PLC0415

    if profile is None and os.environ.get("OUTREACH_TOKEN"):
        click.echo("Signed in by the environment's OUTREACH_TOKEN.")
    else:
        name = os.environ.get("OUTREACH_PROFILE") or DEFAULT_PROFILE if profile is None else profile
        known = Profiles().load(name)
        click.echo(f"{name}: {known.app.base_url}\nscopes: {' '.join(known.scopes)}")
    with of.connect(profile=profile) as org:
        try:
            of.fetch(org, "users", fields=[], limit=1, refresh=True, progress=False)
        except PermissionDeniedError as error:
            if error.scope is None:
                raise
            # Only of a token that it takes does the API say which scope is missing.
            click.echo(f"The API takes the sign-in, which lacks the scope {error.scope}.")
        else:
            click.echo("The API takes the sign-in.")


@main.command()
@PROFILE
def logout(profile: str) -> None:
    """Forget a sign-in, its secrets and its cached answers on this machine."""
    from outreach_frames.auth import Profiles  # noqa: PLC0415
    from outreach_frames.http import remove_account  # noqa: PLC0415

    known = Profiles().load(profile)
    Profiles().remove(profile)
    remove_account(known.app.base_url, known.account)
    click.echo(f"Signed out: {profile!r} is forgotten on this machine.")


@main.group()
def cache() -> None:
    """Look at or empty the cache of an account's answers."""


@cache.command()
@ACCOUNT
def info(profile: str | None) -> None:
    """Tell where the cache is and what it holds."""
    import outreach_frames as of  # noqa: PLC0415

    with of.connect(profile=profile) as org:
        found = org.cache.info()
    click.echo(f"{found.answers:,} answers, {found.size / 1e6:.1f} MB compressed, in {found.path}")


@cache.command()
@ACCOUNT
def clear(profile: str | None) -> None:
    """Empty the cache: of one sign-in, or without --profile of all accounts and earlier tokens."""
    import outreach_frames as of  # noqa: PLC0415
    from outreach_frames.http import clear_all  # noqa: PLC0415

    if profile is None:
        clear_all()
    else:
        with of.connect(profile=profile) as org:
            org.cache.clear()
    click.echo("The cache is empty.")


@main.group()
def webhooks() -> None:
    """Receive webhooks."""


@webhooks.command()
@click.option("--store", type=FILE, required=True, help="File that deliveries are kept in.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8800, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
def serve(store: Path, host: str, port: int) -> None:
    """
    Receive signed deliveries and keep them, until interrupted.

    The webhook's secret comes from OUTREACH_WEBHOOK_SECRET or is asked for.
    """
    import uvicorn  # noqa: PLC0415

    from outreach_frames.webhooks import receiver  # noqa: PLC0415

    secret = hidden(os.environ.get("OUTREACH_WEBHOOK_SECRET") or click.prompt("The webhook's secret", hide_input=True))
    click.echo(f"Receiving on http://{host}:{port}/ into {store}. Ctrl-C stops it.")
    uvicorn.run(receiver(store, secret=secret), host=host, port=port, log_level="warning")
