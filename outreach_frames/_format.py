"""
How numbers and dates are written for people, in pictures, sentences, tables and reports alike.

The space inside a figure is a no-break space, so that no line ends between a number and its unit.

In another language (`in_language`) numbers, percent signs, months and weekdays are Babel's, from the Unicode CLDR;
words stay English.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from babel import Locale

SPACE = "\N{NO-BREAK SPACE}"
MISSING = "–"
NO_DATA = "no data"
FEW = 100
"""Below this denominator a percentage has no decimal."""

_MOST_CERTAIN = 99
_SMALLEST_P = 0.001
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_languages: list["Locale | None"] = [None]
"""Languages from the outermost block to the innermost; None is this module's own English."""


def language() -> "Locale | None":
    """Return the language in which numbers and dates are written now."""
    return _languages[-1]


def set_language(chosen: "Locale | None") -> None:
    """Write numbers and dates in a language of Babel from now on; None for English as it is written here."""
    _languages[-1] = chosen


@contextmanager
def in_language(chosen: "Locale | None") -> Iterator[None]:
    """Write numbers and dates in a language inside a ``with`` block."""
    _languages.append(chosen)
    try:
        yield
    finally:
        _languages.pop()


def _localized(text: str) -> str:
    """Write the numbers of an English text as the language does, digits and rounding unchanged."""
    chosen = language()
    if chosen is None:
        return text
    from babel.numbers import format_decimal  # noqa: PLC0415  an extra, needed for other languages only

    whole = chosen.decimal_formats[None].pattern.partition(".")[0]

    def one(number: re.Match[str]) -> str:
        decimals = len(number[0].partition(".")[2])
        pattern = f"{whole}.{'0' * decimals}" if decimals else whole
        return format_decimal(Decimal(number[0].replace(",", "")), format=pattern, locale=chosen)

    return _NUMBER.sub(one, text)


def _with_percent(text: str) -> str:
    """Add the percent sign where the language has it."""
    chosen = language()
    if chosen is None:
        return f"{text}{SPACE}%"
    sign = chosen.percent_formats[None]
    return f"{sign.prefix[0]}{text}{sign.suffix[0]}"


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
    return NO_DATA if pd.isna(rate) else _with_percent(percent_number(rate, n))


def percent_number(rate: Any, n: Any = None) -> str:
    """Write a fraction as `percent` does, without the sign."""
    hundredths = 100 * float(rate)
    decimals = 0 if n is not None and not pd.isna(n) and n < FEW else 1
    smallest = 10.0**-decimals
    if 0 < hundredths < smallest / 2:
        return _localized(f"<{smallest:g}")
    return _localized(f"{hundredths:.{decimals}f}")


def percent_range(low: Any, high: Any, n: Any = None) -> str:
    """Write the ends of an interval of fractions: ``3.1–5.6 %``; an en dash where one is missing."""
    if pd.isna(low) or pd.isna(high):
        return MISSING
    return _with_percent(f"{percent_number(low, n)}–{percent_number(high, n)}")


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
    return _with_percent(_localized(f"{100 * fraction:g}"))


def probability(chance: Any) -> str:
    """Write a probability in whole percent, without the certainty of 0 or 100: ``>99 %``."""
    if pd.isna(chance):
        return MISSING
    rounded = round(100 * float(chance))
    return _with_percent("<1" if rounded < 1 else f">{_MOST_CERTAIN}" if rounded > _MOST_CERTAIN else f"{rounded}")


def p_value(p: float) -> str:
    """Write a p-value with three decimals: ``0.012``; a smaller one as ``<0.001``."""
    return _localized(f"<{_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.3f}")


def signed_count(difference: Any) -> str:
    """Write a difference of whole numbers with its sign: ``+1,234``; a missing one as an en dash."""
    return MISSING if pd.isna(difference) else _localized(f"{difference:+,.0f}") if difference else "0"


def signed_points(difference: Any) -> str:
    """Write a difference of fractions in percentage points, with its sign: ``+1.2``."""
    rounded = round(100 * float(difference), 1)
    return _localized(f"{rounded:+.1f}".replace("-", "−")) if rounded else "0"


def points(change: float, low: float, high: float) -> str:
    """Write the size of a change that is not 0, with its interval: ``1.2 percentage points (0.4 to 2.0)``."""
    near, far = sorted((abs(low), abs(high)))
    return _localized(f"{100 * abs(change):.1f}{SPACE}percentage points ({100 * near:.1f} to {100 * far:.1f})")


def count(number: Any) -> str:
    """Write a whole number with separators for thousands; a missing one as an en dash."""
    return MISSING if pd.isna(number) else _localized(f"{round(number):,}")


def number(value: Any) -> str:
    """Write a number as it is: whole, or with two decimals."""
    return count(value) if pd.isna(value) or float(value).is_integer() else _localized(f"{value:,.2f}")


def amount(number: Any) -> str:
    """Write an amount in at most three or four figures: thousands as "k", millions as "M"."""
    if pd.isna(number):
        return MISSING
    for size, unit in ((1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            scaled = number / (1e3 if unit == "k" else size)
            return _localized(f"{float(f'{scaled:.3g}'):,g}{SPACE}{unit}")
    return count(number) if float(number).is_integer() or abs(number) >= FEW else _localized(f"{number:.1f}")


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
    return _localized(f"{value:,.1f}") + (f"{SPACE}{unit}" if unit else "")


def day(instant: Any) -> str:
    """Write a date: ``31 Mar 2026``."""
    stamp = pd.Timestamp(instant)
    return _dated(stamp, "yMMMd") or f"{stamp.day}{SPACE}{stamp:%b}{SPACE}{stamp.year}"


def day_of_year(instant: Any) -> str:
    """Write a date without its year, in columns of the same width: ``02 Mar``."""
    stamp = pd.Timestamp(instant)
    return _dated(stamp, "MMMd") or f"{stamp:%d %b}"


def _dated(stamp: pd.Timestamp, skeleton: str) -> str:
    """Write a date as the language does; nothing in English."""
    chosen = language()
    if chosen is None:
        return ""
    from babel.dates import format_skeleton  # noqa: PLC0415  as above

    return format_skeleton(skeleton, stamp.date(), locale=chosen).replace(" ", SPACE)


def months(text: str) -> str:
    """Write the English abbreviations of months in a text as the language does."""
    chosen = language()
    if chosen is None:
        return text
    names = chosen.months["stand-alone"]["abbreviated"]
    return re.sub("|".join(_MONTHS), lambda month: names[_MONTHS.index(month[0]) + 1], text)


def weekday(name: str) -> str:
    """Write the English abbreviation of a weekday, such as ``Mon``, as the language does."""
    chosen = language()
    return name if chosen is None else chosen.days["stand-alone"]["abbreviated"][_WEEKDAYS.index(name)]


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
