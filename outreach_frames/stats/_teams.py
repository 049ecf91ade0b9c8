"""
Teams of users. A user may be in several, and what the user did then counts in each.

A statistic is computed once for each assignment of users to one team. Each team has all of its members in one of these
assignments, so that its row is that of a statistic which knows all records, each once.
"""

from typing import Any

import pandas as pd

from outreach_frames.stats._keys import key_pairs
from outreach_frames.stats._tables import TableReader

TEAM = "team_id"

_OTHER = -1
"""Stands for the teams of a user that are in other assignments."""


class Teams:
    """Who is in which team."""

    def __init__(self, source: TableReader) -> None:
        """
        Read the teams of the source's users.

        Raises
        ------
        MissingColumnError
            The source does not tell who is in which team.
        """
        teams = key_pairs(source, "users", "teams_ids").set_index("id")["teams_ids"].explode()
        teams = teams.astype("int64[pyarrow]")
        self._members = {int(team): list(users.index) for team, users in teams.groupby(teams)}
        self._number = teams.groupby(level=0).count()

    def assignments(self) -> "list[pd.Series[Any]]":
        """Return assignments of users to one team or none, as few as there can be found by taking teams in turn."""
        of_none = self._number.astype("int64[pyarrow]").where(self._number > 0).mask(self._number > 0, _OTHER)
        assigned: list[pd.Series[Any]] = [of_none.copy()]
        for team, members in self._members.items():
            free = next((each for each in assigned if each.loc[members].eq(_OTHER).all()), None)
            if free is None:
                free = of_none.copy()
                assigned.append(free)
            free.loc[members] = team
        return assigned

    def repeats(self, table: pd.DataFrame) -> int:
        """Count how many more times the rows of a table count because their user is in several teams."""
        user = _user_column(table)
        return 0 if user is None else int((table[user].map(self._number) - 1).clip(lower=0).sum())


def with_team(table: pd.DataFrame, teams: "pd.Series[Any]") -> pd.DataFrame:
    """Add the team of the user of each row; a team of the row's own gives way."""
    user = _user_column(table)
    return table if user is None else table.assign(**{TEAM: table[user].map(teams).astype(teams.dtype)})


def joined_teams(results: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """Join the results of all assignments, each with the rows of its own teams, and those without a team once."""
    parts = [each[each[TEAM].ne(_OTHER).fillna(number == 0)] for number, each in enumerate(results)]
    joined = pd.concat(parts, ignore_index=True)
    by = [key for key in keys if key in joined.columns]
    joined = joined.sort_values(by, kind="stable", ignore_index=True)
    joined.attrs = results[0].attrs
    return joined


def _user_column(table: pd.DataFrame) -> str | None:
    return next((column for column in ("user_id", "owner_id") if column in table.columns), None)
