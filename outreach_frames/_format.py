"""
How numbers and dates are written for people, in pictures, sentences, tables and reports alike.

The space inside a figure is a no-break space, so that no line ends between a number and its unit.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

SPACE = "\N{NO-BREAK SPACE}"
MISSING = "–"
NO_DATA = "no data"
FEW = 100
"""Below this denominator a percentage has no decimal."""

_MOST_CERTAIN = 99
_SMALLEST_P = 0.001


def percent(rate: Any, n: Any = None) -> str:
    """
    Write a fraction as a percentage: ``4.2 %``.

    Parameters
    ----------
    rate
        Fraction; "no data" where it is missing.
    n
        Its denominator: below `FEW` there is no decimal. Unknown: one decimal.

    Returns
    -------
    text : str
        What is not 0 is never written as 0: it becomes ``<0.1 %``, or ``<1 %`` on few trials.
    """
    return NO_DATA if pd.isna(rate) else f"{percent_number(rate, n)}{SPACE}%"


def percent_number(rate: Any, n: Any = None) -> str:
    """Write a fraction as `percent` does, without the sign."""
    hundredths = 100 * float(rate)
    decimals = 0 if n is not None and not pd.isna(n) and n < FEW else 1
    smallest = 10.0**-decimals
    if 0 < hundredths < smallest / 2:
        return f"<{smallest:g}"
    return f"{hundredths:.{decimals}f}"


def percent_range(low: Any, high: Any, n: Any = None) -> str:
    """Write the ends of an interval of fractions: ``3.1–5.6 %``; an en dash where one is missing."""
    if pd.isna(low) or pd.isna(high):
        return MISSING
    return f"{percent_number(low, n)}–{percent(high, n)}"


def percent_extent(rates: Iterable[float], n: Any = None) -> str:
    """Write the range of several rates, missing ones left out: ``2.1–4.0 %``."""
    present = [rate for rate in rates if not pd.isna(rate)]
    return percent_range(min(present), max(present), n) if present else MISSING


def typical(trials: Iterable[Any]) -> float:
    """Return the denominator that decides on the decimals of a whole column: the median of those that are not 0."""
    sizes = pd.Series(list(trials), dtype="float64")
    return float(sizes[sizes > 0].median())


def interval(rate: Any, low: Any, high: Any, n: Any = None, *, with_n: bool = True) -> str:
    """Write a rate with its interval and denominator: ``4.2 % (3.1–5.6 %, n = 500)``; what is missing is left out."""
    ends = [] if pd.isna(low) or pd.isna(high) else [percent_range(low, high, n)]
    base = [] if not with_n or n is None or pd.isna(n) else [f"n{SPACE}={SPACE}{count(n)}"]
    return f"{percent(rate, n)} ({', '.join(ends + base)})" if ends and not pd.isna(rate) else percent(rate, n)


def share(fraction: float) -> str:
    """Write a chosen fraction, such as a threshold or a level, with the digits that it has: ``2.5 %``."""
    return f"{100 * fraction:g}{SPACE}%"


def probability(chance: Any) -> str:
    """Write a probability in whole percent, without the certainty of 0 or 100: ``>99 %``."""
    if pd.isna(chance):
        return MISSING
    rounded = round(100 * float(chance))
    return f"{'<1' if rounded < 1 else f'>{_MOST_CERTAIN}' if rounded > _MOST_CERTAIN else rounded}{SPACE}%"


def p_value(p: float) -> str:
    """Write a p-value with three decimals: ``0.012``; a smaller one as ``<0.001``."""
    return f"<{_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.3f}"


def signed_points(difference: Any) -> str:
    """Write a difference of fractions in percentage points, with its sign: ``+1.2``."""
    rounded = round(100 * float(difference), 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0"


def points(change: float, low: float, high: float) -> str:
    """Write the size of a change that is not 0, with its interval: ``1.2 percentage points (0.4 to 2.0)``."""
    near, far = sorted((abs(low), abs(high)))
    return f"{100 * abs(change):.1f}{SPACE}percentage points ({100 * near:.1f} to {100 * far:.1f})"


def count(number: Any) -> str:
    """Write a whole number with separators for thousands; a missing one as an en dash."""
    return MISSING if pd.isna(number) else f"{round(number):,}"


def number(value: Any) -> str:
    """Write a number as it is: whole, or with two decimals."""
    return count(value) if pd.isna(value) or float(value).is_integer() else f"{value:,.2f}"


def amount(number: Any) -> str:
    """Write an amount in at most three or four figures: thousands as "k", millions as "M"."""
    if pd.isna(number):
        return MISSING
    for size, unit in ((1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            scaled = number / (1e3 if unit == "k" else size)
            return f"{float(f'{scaled:.3g}'):,g}{SPACE}{unit}"
    return count(number) if float(number).is_integer() or abs(number) >= FEW else f"{number:.1f}"


def counted(number: Any, noun: str, nouns: str | None = None) -> str:
    """Write a number with its noun: ``1 mail``, ``2 mails``; the plural is formed unless it is given."""
    return f"{count(number)}{SPACE}{noun if number == 1 else nouns or plural(noun)}"


def plural(noun: str) -> str:
    """Form the plural of an English noun as this package uses them."""
    if noun.endswith("y") and not noun.endswith(("ay", "ey", "oy")):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch")) else "s")


def listed(words: Iterable[str], *, limit: int = 3) -> str:
    """Join words: ``a, b and c``; ``a, b, c and 4 more``."""
    words = list(words)
    named = words if len(words) <= limit + 1 else [*words[:limit], f"{count(len(words) - limit)} more"]
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else "".join(named)


def duration(value: Any, unit: str = "") -> str:
    """Write hours, days or seconds with one decimal, and the unit's sign: ``15.0 h``."""
    return f"{value:,.1f}" + (f"{SPACE}{unit}" if unit else "")


def day(instant: Any) -> str:
    """Write a date: ``31 Mar 2026``."""
    stamp = pd.Timestamp(instant)
    return f"{stamp.day}{SPACE}{stamp:%b}{SPACE}{stamp.year}"


def moment(instant: Any) -> str:
    """Write an instant: ``31 Mar 2026, 14:05 UTC``."""
    stamp = pd.Timestamp(instant)
    stamp = stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
    return f"{day(stamp)}, {stamp:%H:%M}{SPACE}UTC"


def minute(instant: Any) -> str:
    """Write an instant in a column of instants, so that all have the same width: ``2026-03-31 14:05``."""
    return f"{instant:%Y-%m-%d}{SPACE}{instant:%H:%M}"


def type_name(value: object) -> str:
    """Name the type of a value, such as "a list" or "a polars DataFrame"."""
    library, _, _ = type(value).__module__.partition(".")
    name = type(value).__name__ if library == "builtins" else f"{library} {type(value).__name__}"
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def plain(text: str) -> str:
    """Replace no-break spaces, for a terminal or for code."""
    return text.replace(SPACE, " ")
