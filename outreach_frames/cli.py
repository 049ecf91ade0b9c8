"""
The command line ``outreach-frames``.

Exit codes are 0, 1 (failed) and 2 (usage); a signal that ends it makes it 128 and the signal's number, as in a shell:
130 for Ctrl-C, 143 for SIGTERM.
"""

import errno
import os
import shutil
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

import click

from outreach_frames import __version__
from outreach_frames._explore_command import explore
from outreach_frames._extras import EXTRAS, is_installed
from outreach_frames._files import replacing
from outreach_frames._forget_command import forget
from outreach_frames._secrets import hidden
from outreach_frames._snapshot_commands import (
    ACCOUNT,
    FILE,
    FOLDER,
    LINKS_OPTION,
    NOTEBOOK,
    printable,
    refresh,
    say_tables,
    snapshots,
    write_snapshot_report,
)
from outreach_frames.errors import AuthError, DataError, OutreachError, PermissionDeniedError, UnknownNameError

DEMO_FOLDER = Path("outreach-demo")
OUT = "File to write: .parquet for programs, .csv or .xlsx for people."


ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a program; Python itself makes an exception of Ctrl-C alone."""


class _Commands(click.Group):
    """Prints errors as sentences, without a traceback, and cleans up whatever ends it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _cleaned_up():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(128 + signal.SIGINT)
        except click.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                ctx.exit(128 + signal.SIGINT)
            raise
        except OutreachError as error:
            raise click.ClickException(printable(str(error))) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            message = printable(error.strerror or str(error))
            raise click.ClickException(
                f"{printable(str(error.filename))}: {message}" if error.filename else message
            ) from error
        except sqlite3.Error as error:
            raise click.ClickException(f"A file of this machine cannot be used: {printable(str(error))}") from error


@contextmanager
def _cleaned_up() -> Iterator[None]:
    """Let the signals that end a program do it by an exception, so that nothing half-written stays."""
    is_main = threading.current_thread() is threading.main_thread()
    ours = [number for number in ENDING if is_main and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _end_process)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _end_process(number: int, _: Any) -> NoReturn:
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)  # a second one must not break off the cleaning up
    raise SystemExit(128 + number)


PROFILE = click.option(
    "--profile", default="default", show_default=True, envvar="OUTREACH_PROFILE", help="Name of the sign-in."
)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="outreach-frames")
def main() -> None:
    """Outreach organizations as DataFrames: fetch, statistics, pictures, Parquet, reports."""


main.add_command(snapshots)
main.add_command(refresh)
main.add_command(forget)
main.add_command(explore)


@main.command()
@click.option("--out", type=FOLDER, default=DEMO_FOLDER, show_default=True, help="Folder that the results go to.")
@click.option("--prospects", default=2_000, show_default=True, type=click.IntRange(1), help="Size of the organization.")
@click.option("--seed", default=7, show_default=True, help="The same seed means the same organization.")
def demo(out: Path, prospects: int, seed: int) -> None:
    """Show the whole path on a made-up organization: fetch, snapshot, statistics, report. Needs no account."""
    import outreach_frames as of  # noqa: PLC0415  pandas is loaded only by the commands that need it
    from outreach_frames.reports import write_report  # noqa: PLC0415

    click.echo(f"Starting an embedded Outreach organization with {prospects:,} made-up prospects (seed {seed}).")
    with of.sandbox(prospects=prospects, seed=seed) as org:
        click.echo(f"It listens on this machine only, at {org.base_url}.\n")
        click.echo("Fetching its tables over HTTP and writing them as Parquet files:")
        snapshot = of.take_snapshot(org, out / "snapshot")
    say_tables(snapshot)
    click.echo("\nComputing statistics, drawing pictures and writing the report (about half a minute) …")
    report = write_report(out / "report.html", parameters={"source": str(snapshot.path.resolve())})
    _say_headlines(of.stats.engagement(snapshot.frame("mailings"), include_unsequenced=True))
    click.echo(f"\nThe report:  {report}   (open it in a browser; it needs no network)")
    click.echo(f"The tables:  {snapshot.folder}   (Parquet: pandas, DuckDB, polars, Spark … read them)")
    _say_next(snapshot.path)


def _say_next(snapshot: Path) -> None:
    """Print a command that works as it stands: for the explorers of a snapshot."""
    command = "outreach-frames" if shutil.which("outreach-frames") else f"{sys.executable} -m outreach_frames"
    click.echo(f"Next:        {command} explore {snapshot}   (the explorers, in your browser)")
    if not all(map(is_installed, EXTRAS["explore"])):
        click.echo("             It needs the extra: pip install 'outreach_frames[explore]'")


def _say_headlines(engagement: Any) -> None:
    """Print the headline rates with their 95 % intervals."""
    row = engagement.astype(object).iloc[0]  # whole numbers stay whole beside fractions
    click.echo(f"\nOf {row['sent']:,} mails sent, {row['delivered']:,} were delivered:")
    for name, label in {
        "enrollment_reply_rate": "enrollments that replied",
        "reply_rate": "mails that were replied to",
        "bounce_rate": "mails that bounced",
        "opt_out_rate": "mails that led to an opt-out",
    }.items():
        rate, low, high = (row[name + end] for end in ("", "_lo", "_hi"))
        click.echo(f"  {label:<30}{rate:>6.1%}   (95 % interval {low:.1%} to {high:.1%}, n = {row[f'{name}_n']:,})")


@main.command()
@click.argument("resource")
@click.option("--out", type=FILE, required=True, help=OUT)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Keep what fits; LOW..HIGH for a range, a name given twice for any of.",
)
@click.option("--fields", help="Columns, separated by commas.")
@click.option(
    "--include",
    metavar="PATHS",
    help="Related records to join by their names, separated by commas, such as owner,account; owner=email+title for "
    "other columns, owner=* for all.",
)
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
    """Fetch one resource type from a live organization into a file."""
    import outreach_frames as of  # noqa: PLC0415

    write = _writer(out)
    with _replacing(out) as stream, of.connect(profile=profile) as org:
        frame = of.fetch(
            org,
            resource,
            filter=_parsed_filters(filters),
            fields=fields.split(",") if fields and fields != "*" else fields,
            include=_parsed_include(resource, include),
            sort=sort,
            limit=limit,
            refresh=refresh,
        )
        write(frame, stream)
    click.echo(f"{len(frame):,} rows in {out}")


def _writer(out: Path) -> Callable[[Any, IO[bytes]], None]:
    """Return what writes a frame as the file's ending says."""
    from outreach_frames import _export  # noqa: PLC0415
    from outreach_frames.snapshots import parquet  # noqa: PLC0415

    if not out.parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.parent}", param_hint="--out")
    if out.suffix == ".parquet":
        return parquet.write_table
    try:
        return _export.writer(out.suffix)
    except DataError:
        raise click.BadParameter("the file must end in .parquet, .csv or .xlsx", param_hint="--out") from None


@contextmanager
def _replacing(out: Path) -> Iterator[IO[bytes]]:
    """Give a stream to write to a file, which is found out to be impossible before anything is fetched."""
    try:
        with replacing(out) as stream:
            yield stream
    except OutreachError:
        raise
    except OSError as error:
        raise click.FileError(str(out), error.strerror or str(error)) from error


def _parsed_filters(texts: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE, NAME=LOW..HIGH with either end open, and NAME= for null; a name given twice means any of."""
    from outreach_frames._query import between  # noqa: PLC0415

    filters: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--filter")
        low, dots, high = value.partition("..")
        read = between(low or None, high or None) if dots else value or None
        filters[name] = (
            [*filters[name], read]
            if isinstance(filters.get(name), list)
            else [filters[name], read]
            if name in filters
            else read
        )
    return filters


_NAMES = (("name",), ("first_name", "last_name"), ("display_name",), ("email",), ("subject",))
"""Attributes by which people know a record, the first ones that its type has."""


def _parsed_include(resource: str, text: str | None) -> dict[str, list[str] | None] | None:
    """Read PATH, which joins a record's name, PATH=COLUMN+COLUMN and PATH=*; what is unknown is refused later."""
    if text is None:
        return None
    include: dict[str, list[str] | None] = {}
    for each in text.split(","):
        path, equals, columns = each.strip().partition("=")
        include[path] = _names_at(resource, path) if not equals else None if columns == "*" else columns.split("+")
    return include


def _names_at(resource: str, path: str) -> list[str] | None:
    """Return the columns that name a related record; all where it has none, or the path leads to no single type."""
    from outreach_frames.catalog import load  # noqa: PLC0415

    catalog, columns = load(), set[str]()
    with suppress(UnknownNameError):
        target = catalog.resource(resource)
        for step in path.split("."):
            related = catalog.targets(target.relationship(step))
            if len(related) != 1:
                return None
            (target,) = related.values()
        columns = {attribute.column for attribute in target.attributes.values()}
    return next((list(names) for names in _NAMES if columns.issuperset(names)), None)


@main.command()
@click.argument("path", type=FOLDER)
@click.argument("query")
@click.option("--out", type=FILE, help=f"{OUT} Default: the result is printed.")
def sql(path: Path, query: str, *, out: Path | None) -> None:
    """Query a snapshot with SQL; each table has its own name, and nothing else is within the query's reach."""
    import outreach_frames as of  # noqa: PLC0415

    if out is None:
        click.echo(printable(of.open_snapshot(path).sql(query).to_string(index=False)))
        return
    write = _writer(out)
    with _replacing(out) as stream:
        result = of.open_snapshot(path).sql(query)
        write(result, stream)
    click.echo(f"{len(result):,} rows in {out}")


@main.command()
@click.option("--snapshot", "source", type=FOLDER, required=True, help="The snapshot to report on.")
@NOTEBOOK
@click.option("--out", type=FILE, help="The file to write; default: report.html, or report.eml.")
@click.option("--mail-ready", is_flag=True, help="Write a mail (.eml) for sendmail, with its pictures inside.")
@click.option("--organization", help="Its name in the head; default: the domain of its users.")
@click.option("--days", type=click.IntRange(1), help="Period compared with the one before [days]; default: 28.")
@LINKS_OPTION
def report(
    source: Path,
    notebook: str,
    out: Path | None,
    *,
    mail_ready: bool,
    organization: str | None,
    days: int | None,
    links: str | None,
) -> None:
    """Execute a notebook on a snapshot and write one self-contained HTML file, or a mail."""
    import outreach_frames as of  # noqa: PLC0415

    of.open_snapshot(source)
    out = out or Path("report.eml" if mail_ready else "report.html")
    chosen = {"links": links, "organization": organization, "days": days}
    click.echo(f"Written to {write_snapshot_report(source, out, notebook, mail_ready=mail_ready, **chosen)}")


@main.command()
@click.option("--prospects", default=2_000, show_default=True, type=click.IntRange(1), help="Size of the organization.")
@click.option("--seed", default=7, show_default=True, help="The same seed means the same organization.")
def sandbox(prospects: int, seed: int) -> None:
    """Serve an embedded organization on this machine until interrupted."""
    import outreach_frames as of  # noqa: PLC0415

    with of.sandbox(prospects=prospects, seed=seed) as org, suppress(KeyboardInterrupt):
        token = org.sandbox.token if org.sandbox else ""
        click.echo(f"OUTREACH_BASE_URL={org.base_url}\nOUTREACH_TOKEN={token}\nCtrl-C stops it.")
        threading.Event().wait()


_DEFAULT_SCOPES = (
    "accounts calls events mailboxes mailings opportunities opportunityProspectRoles opportunityStages prospects "
    "sequences sequenceStates sequenceSteps sequenceTemplates stages tasks teams templates users"
)
"""What snapshots and reports read."""


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
@click.option("--add-scopes", default="", help="Scopes besides those of the present sign-in, or besides the default.")
@click.option("--base-url", envvar="OUTREACH_BASE_URL", default=None, help="Base of the API; default: the public host.")
def login(*, profile: str, redirect_uri: str, scopes: str | None, add_scopes: str, base_url: str | None) -> None:
    """
    Sign in with OAuth, in the browser.

    The app's client id and secret come from OUTREACH_CLIENT_ID and OUTREACH_CLIENT_SECRET, or are asked for: never from
    the command line, whose history keeps them.
    """
    from outreach_frames._auth import App, Profiles, login as sign_in  # noqa: PLC0415
    from outreach_frames._http import TokenEndpoint, remove_account  # noqa: PLC0415
    from outreach_frames.connections import BASE_URL  # noqa: PLC0415

    client_id = os.environ.get("OUTREACH_CLIENT_ID") or click.prompt("Client id of your Outreach app")
    secret = hidden(os.environ.get("OUTREACH_CLIENT_SECRET") or click.prompt("Client secret", hide_input=True))
    app = App(client_id, redirect_uri, base_url or BASE_URL)
    profiles = Profiles()
    earlier = None
    with suppress(AuthError):  # there is none, or none that can be read
        earlier = profiles.load(profile)
    present = earlier.scopes if add_scopes and earlier is not None else None
    usual = scopes.split() if scopes else present or [f"{plural}.read" for plural in _DEFAULT_SCOPES.split()]
    requested = list(dict.fromkeys([*usual, *add_scopes.split()]))
    with closing(TokenEndpoint(app.base_url)) as exchange:
        sign_in(
            app,
            secret,
            requested,
            exchange=exchange,
            profiles=profiles,
            name=profile,
            ask=lambda _: click.prompt("Paste the address that you are sent to"),
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
    from outreach_frames._auth import Profiles  # noqa: PLC0415
    from outreach_frames.connections import DEFAULT_PROFILE  # noqa: PLC0415

    if profile is None and os.environ.get("OUTREACH_TOKEN"):
        click.echo("Signed in by the environment's OUTREACH_TOKEN.")
    else:
        name = os.environ.get("OUTREACH_PROFILE") or DEFAULT_PROFILE if profile is None else profile
        stored = Profiles().load(name)
        click.echo(f"{name}: {stored.app.base_url}\nscopes: {' '.join(stored.scopes)}")
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
@click.option("--names", is_flag=True, help="Show paths, host, profile and messages of errors, too.")
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="One line a check.")
@ACCOUNT
def doctor(*, names: bool, log: str, profile: str | None) -> None:
    """
    Check versions, folders, sign-in, API, clock and budget; exit code 1 where one fails.

    The text can be pasted into an issue: without --names no token, address or name is in it.
    """
    import json  # noqa: PLC0415
    from dataclasses import asdict  # noqa: PLC0415

    from outreach_frames._doctor import examine  # noqa: PLC0415

    failed = []
    for each in examine(profile, names=names):
        if log == "json":
            click.echo(json.dumps(asdict(each)))
        else:
            click.echo(printable(f"{each.state:<8} {each.check:<20} {each.message}"))
        failed += [each.check] if each.state == "failed" else []
    if failed:
        raise click.ClickException(f"Wrong: {', '.join(failed)}.")


@main.command()
@PROFILE
def logout(profile: str) -> None:
    """Forget a sign-in, its secrets and its cached answers on this machine."""
    from outreach_frames._auth import Profiles  # noqa: PLC0415
    from outreach_frames._http import remove_account  # noqa: PLC0415

    stored = Profiles().load(profile)
    Profiles().remove(profile)
    remove_account(stored.app.base_url, stored.account)
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
        about = org.cache.info()
    click.echo(f"{about.answers:,} answers, {about.size / 1e6:.1f} MB compressed, in {about.path}")


@cache.command()
@ACCOUNT
def clear(profile: str | None) -> None:
    """Empty the cache: of one sign-in, or without --profile of all accounts and earlier tokens."""
    import outreach_frames as of  # noqa: PLC0415
    from outreach_frames._http import clear_all  # noqa: PLC0415

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
    from outreach_frames.webhooks.receiver_app import listen, serve as serve_receiver  # noqa: PLC0415
    from outreach_frames.webhooks.store import DeliveryStore  # noqa: PLC0415

    secret = hidden(os.environ.get("OUTREACH_WEBHOOK_SECRET") or click.prompt("The webhook's secret", hide_input=True))
    with closing(DeliveryStore(store)) as deliveries:
        deliveries.open()  # what cannot be written is found out before anything listens
    try:
        listening = listen(host, port)
    except (OSError, ValueError) as error:  # the latter for what can be no host's name
        reason = getattr(error, "strerror", None) or "this is no host"
        raise click.ClickException(
            f"Cannot listen on {host}, port {port}: {reason}.\nHint: Choose another --host or --port."
        ) from error
    with listening:
        address = f"[{host}]" if ":" in host else host
        click.echo(f"Receiving on http://{address}:{listening.getsockname()[1]}/ into {store}. Ctrl-C stops it.")
        serve_receiver(store, listening, secret=secret)
