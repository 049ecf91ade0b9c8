"""The command ``forget``: erase a person from the files of this machine, and at Outreach."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from outreach_frames._snapshot_commands import ACCOUNT, FOLDER, printable
from outreach_frames.errors import ErasureError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("email")
@click.option("--snapshots", multiple=True, type=FOLDER, help="Folder of a snapshot; all its versions are searched.")
@click.option("--webhooks", multiple=True, type=_FILE, help="Store of deliveries.")
@click.option(
    "--journals", multiple=True, type=_FILE, help="Journal of a bulk write, besides those of the state folder."
)
@click.option(
    "--exports", multiple=True, type=click.Path(path_type=Path), help="CSV or Parquet file, or a folder of them."
)
@click.option("--cache", type=FOLDER, help="Folder of the cache; default: the user's.")
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be erased.")
@click.option("--outreach", is_flag=True, help="Also ask Outreach to erase the person, and wait until that is done.")
@click.option("--requester", help="Address of the Outreach user who asks.")
@click.option("--timeout", default=3600.0, show_default=True, type=click.FloatRange(0), help="Longest wait [seconds].")
@ACCOUNT
def forget(
    email: str,
    *,
    snapshots: tuple[Path, ...],
    webhooks: tuple[Path, ...],
    journals: tuple[Path, ...],
    exports: tuple[Path, ...],
    cache: Path | None,
    dry_run: bool,
    outreach: bool,
    requester: str | None,
    timeout: float,
    profile: str | None,
) -> None:
    """
    Erase a person, by address, from cache, snapshots, webhook stores, journals and exports.

    EMAIL - is read from standard input: a shell keeps its command lines. Each option can be given several times.
    """
    import outreach_frames as of  # noqa: PLC0415

    if outreach and not requester:
        raise click.UsageError("--outreach needs --requester.")
    with of.connect(profile=profile) if outreach else nullcontext() as org:
        try:
            receipt = of.compliance.forget(
                sys.stdin.readline() if email == "-" else email,
                client=org,
                cache=cache or True,
                snapshots=snapshots,
                webhooks=webhooks,
                journals=journals,
                exports=exports,
                dry_run=dry_run,
                outreach=outreach,
                requester=requester,
                timeout=timeout,
            )
        except ErasureError as error:
            _say(error.receipt)
            for place, why in error.places.items():
                click.echo(printable(f"{place}: {why}"), err=True)
            raise
    _say(receipt)


def _say(receipt: Any) -> None:
    click.echo(printable(receipt.to_string(index=False)) if len(receipt) else "There was nothing to search.")
