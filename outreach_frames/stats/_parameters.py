"""What callers may write for a parameter, and what they are told where they wrote something else."""

from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from math import isfinite
from numbers import Integral, Real
from typing import Any

from outreach_frames.errors import DataError


def columns(name: str, value: object) -> list[str]:
    """
    Take the names of some columns: one name, several in any ordered collection, or none.

    Raises
    ------
    DataError
        Something else, or a set, which has no order.
    """
    if value is None:
        return []
    listed = [value] if isinstance(value, str) else _listed(value)
    if listed is None or not all(isinstance(each, str) for each in listed):
        raise DataError(
            f"{name} must be the name of a column or a list of names, not {value!r}.",
            hint=f'Write {name}="sequence_id" or {name}=["sequence_id", "week"].',
        )
    return list(dict.fromkeys(str(each) for each in listed))


def column(name: str, value: object) -> str:
    """Take the name of one column; a list of one will do."""
    listed = columns(name, value)
    if len(listed) != 1:
        raise DataError(f"{name} must name one column, not {value!r}.", hint=f'Write {name}="sequence_id".')
    return listed[0]


def choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Take one of some words."""
    words = list(allowed)
    if not isinstance(value, str) or value not in words:
        quoted = ", ".join(f'"{word}"' for word in words)
        raise DataError(f"There is no {name} {value!r}.", hint=f"Choose one of {quoted}." if words[1:] else quoted)
    return value


def choices(name: str, value: object, allowed: Iterable[str]) -> list[str]:
    """Take some of some words; one alone need not be in a list."""
    listed = [value] if isinstance(value, str) else _listed(value)
    if listed is None:
        raise DataError(f"{name} must be a list of words, not {value!r}.")
    words = list(allowed)
    return [choice(name, each, words) for each in listed]


def words(name: str, value: object) -> list[str]:
    """Take any words; one alone need not be in a list."""
    listed = [value] if isinstance(value, str) else _listed(value)
    if listed is None or not all(isinstance(each, str) for each in listed):
        raise DataError(f"{name} must be a word or a list of words, not {value!r}.")
    return [str(each) for each in listed]


def number(
    name: str,
    value: object,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    whole: bool = False,
) -> float:
    """
    Take a finite number within bounds.

    Parameters
    ----------
    name, value
        The parameter as the caller wrote it.
    least
        Smallest number allowed.
    above, below
        Bounds that are not allowed themselves.
    whole
        Whether it must be a whole number.
    """
    limits = {"at least": least, "above": above, "below": below}
    told = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
    kind = "a whole number" if whole else "a number"
    wanted = f"{name} must be {kind}{' ' if told else ''}{told}, not {value!r}."
    if isinstance(value, bool) or not isinstance(value, Real):
        raise DataError(wanted)
    taken = float(value)
    low = (least is not None and taken < least) or (above is not None and taken <= above)
    if not isfinite(taken) or low or (below is not None and taken >= below) or (whole and taken != int(taken)):
        raise DataError(wanted)
    return taken


def numbers(name: str, value: object, **bounds: Any) -> list[float]:
    """Take several numbers within bounds; one alone need not be in a list."""
    listed = [value] if isinstance(value, Real) else _listed(value)
    if listed is None:
        raise DataError(f"{name} must be a number or a list of numbers, not {value!r}.")
    return [number(name, each, **bounds) for each in listed]


def count(name: str, value: object, *, least: int = 0) -> int:
    """Take a whole number."""
    return int(number(name, value, least=least, whole=True))


def id_mapping(name: str, value: object) -> dict[int, int]:
    """Take a mapping of ids to ids; nothing is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(i, Integral) for pair in value.items() for i in pair):
        raise DataError(f"{name} must map ids to ids, not {value!r}.", hint=f"Write {name}={{20: 10}}.")
    return {int(old): int(new) for old, new in value.items()}


def _listed(value: object) -> Sequence[object] | None:
    """Return the items of an ordered collection; ``None`` for what is none."""
    if isinstance(value, str | bytes | Mapping | AbstractSet) or not isinstance(value, Iterable):
        return None
    return list(value)
