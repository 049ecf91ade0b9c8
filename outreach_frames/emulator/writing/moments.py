"""Points in time as the API writes them."""

from datetime import UTC, datetime


def stamp(moment: datetime) -> str:
    """Write an instant: UTC, whole seconds, and the milliseconds that are always zero."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def instant(text: str) -> datetime:
    """
    Read an instant; without a zone it is UTC, as in the vendor's guide.

    Raises
    ------
    ValueError
        It is none.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
