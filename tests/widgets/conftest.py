"""A small organization whose names try to be markup."""

from pathlib import Path

import pandas as pd
import pytest

import outreach_frames as of

NASTY = "<img src=x onerror=alert(1)>"
TABLES = (
    "mailings",
    "calls",
    "mailboxes",
    "prospects",
    "sequences",
    "sequence_states",
    "sequence_steps",
    "sequence_templates",
    "templates",
)


@pytest.fixture(scope="session")
def sample():
    """The snapshot that the notebooks read."""
    return of.open_snapshot(Path(__file__).parents[2] / "data" / "sample")


@pytest.fixture(scope="session")
def frames(sample):
    return {name: sample.frame(name) for name in TABLES}


@pytest.fixture(scope="session")
def nasty(frames):
    """The same organization; everything with a name has a name that is markup."""
    named = {
        "prospects": ["first_name", "last_name"],
        "sequences": ["name"],
        "templates": ["name"],
        "mailboxes": ["email"],
    }
    spoiled = dict(frames)
    for table, columns in named.items():
        text = pd.array([NASTY] * len(frames[table]), dtype=frames[table][columns[0]].dtype)
        spoiled[table] = frames[table].assign(**dict.fromkeys(columns, text))
    return spoiled


@pytest.fixture(scope="session")
def empty(frames):
    """Every table with its columns and no row."""
    return {name: frame.head(0) for name, frame in frames.items()}
