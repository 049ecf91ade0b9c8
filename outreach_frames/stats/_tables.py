"""Frames by resource name, from a mapping of them or from a snapshot."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from outreach_frames.errors import DataError, OutreachError

TABLES = (
    "accounts",
    "calls",
    "email_addresses",
    "events",
    "mailboxes",
    "mailings",
    "opportunities",
    "opportunity_prospect_roles",
    "opportunity_stages",
    "prospects",
    "sequence_states",
    "sequence_steps",
    "sequence_templates",
    "sequences",
    "tasks",
    "templates",
    "users",
)
"""The tables that the statistics read, of which `snapshots` leaves out some unless asked."""


def frames_of(source: Any) -> dict[str, pd.DataFrame]:
    """
    Take the tables that the statistics read from wherever they are.

    Parameters
    ----------
    source
        A mapping of resource name to pandas frame, or an object with ``frame(name)``, such as a snapshot, and if it can
        ``tables``, the names it has.

    Raises
    ------
    DataError
        The source is neither, or holds something else than pandas frames.
    """
    if isinstance(source, Mapping):
        frames = {str(name): frame for name, frame in source.items()}
    elif callable(getattr(source, "frame", None)):
        frames = dict(_read(source))
    else:
        raise DataError(
            f"A {type(source).__name__} holds no frames by name.",
            hint='Pass a snapshot, or a mapping such as {"mailings": fetch_mailings(org)}.',
        )
    for name, frame in frames.items():
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"{name} is a {type(frame).__name__}, not a pandas frame.", hint="Convert it first.")
    return frames


def _read(source: Any) -> Iterable[tuple[str, pd.DataFrame]]:
    names = getattr(source, "tables", None)
    for name in TABLES:
        if names is not None:
            if name in names:
                yield name, source.frame(name)
            continue
        try:
            yield name, source.frame(name)
        except (OutreachError, LookupError):  # without a list of names, asking is the only way to know
            continue
