"""Warnings about rows that bend a statistic: once per call, with a count and a few ids."""

import warnings
from collections.abc import Iterable
from typing import Any

from outreach_frames.errors import OutreachDataWarning

EXAMPLES = 5
"""How many ids a message or a table lists."""


def warn_of_rows(category: type[OutreachDataWarning], what: str, ids: Iterable[Any], *, stacklevel: int = 3) -> None:
    """
    Warn once of the rows with these ids; without ids, do nothing.

    Used for frames in memory only: on DuckDB, Dask, Spark and lazy polars the count would cost a pass over the data.

    Parameters
    ----------
    category
        The warning's class.
    what
        What the rows have in common, and its effect on the figures.
    ids
        Ids of all rows concerned.
    stacklevel
        3 where the public function itself calls.
    """
    ordered = sorted(ids)
    if ordered:
        listed = ", ".join(map(str, ordered[:EXAMPLES])) + (" …" if len(ordered) > EXAMPLES else "")
        warnings.warn(category(f"{what}: {len(ordered):,} (id {listed})."), stacklevel=stacklevel)
