"""
Names of time zones: IANA's, and those that other programs write for them.

Outreach's ``timeZone`` is free text. Names of Ruby on Rails and of Windows, and IANA's in another case or with blanks
for underscores, mean one zone; abbreviations and single words such as "Eastern" mean several, and none here, unless
they are IANA's own. Sources: see ``zone_names.json``, beside this module.
"""

import json
import re
from functools import cache
from importlib.resources import files
from zoneinfo import available_timezones

STEPS = (
    ("[ \t\u00a0_]+", " "),
    (r"^ ?\((gmt|utc)[^)]*\) ?|^ | $", ""),  # "(GMT-05:00) Eastern Time (US & Canada)", as Rails and Windows show it
)
"""Patterns that are replaced in a name in lower case to compare it; all engines read them alike."""

_NO_ZONES = {"Factory", "localtime", "posixrules"}
"""Zones in a machine's folder that are no place's: what they mean depends on the machine."""


@cache
def iana_names() -> frozenset[str]:
    """Return the IANA names of this machine."""
    return frozenset(available_timezones() - _NO_ZONES)


@cache
def zones_by_key() -> dict[str, str]:
    """Map what `key` makes of every name that is understood to its IANA name."""
    others = json.loads(files(__package__).joinpath("zone_names.json").read_text(encoding="utf-8"))
    windows = {form: zone for name, zone in others["windows"].items() for form in (name, _in_summer(name))}
    zones = {key(name): zone for names in (windows, others["rails"]) for name, zone in names.items()}
    return {name: zone for name, zone in zones.items() if zone in iana_names()} | {key(z): z for z in iana_names()}


def _in_summer(name: str) -> str:
    """Return the name that Windows shows while the clocks are forward."""
    return name.replace("Standard Time", "Daylight Time")


def key(name: str) -> str:
    """Return the form of a name in which spellings are equal."""
    name = name.lower()
    for pattern, replacement in STEPS:
        name = re.sub(pattern, replacement, name)
    return name


def iana(name: object) -> str | None:
    """Return the IANA name of a zone, however it is written; ``None`` for what names none."""
    return zones_by_key().get(key(name)) if isinstance(name, str) else None
