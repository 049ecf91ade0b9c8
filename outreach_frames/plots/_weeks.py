"""A time axis of weeks that small multiples share."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames.plots._page import rectangle_of
from outreach_frames.plots._result import Floats
from outreach_frames.plots._style import SMALL_PT
from outreach_frames.plots._text import width

_APART = 0.12


class Weeks:
    """
    All weeks from the first to the last of a result, at 0, 1, 2 and so on.

    Parameters
    ----------
    mondays
        First days of the weeks that have rows; weeks without rows keep their place.
    """

    def __init__(self, mondays: Iterable[Any]) -> None:
        stamps = [pd.Timestamp(monday) for monday in mondays]
        self.first = min(stamps)
        self.count = int(self._places(stamps).max()) + 1

    def places(self, mondays: Iterable[Any]) -> Floats:
        """Where weeks lie on the axis."""
        return self._places([pd.Timestamp(monday) for monday in mondays])

    def _places(self, stamps: list[pd.Timestamp]) -> Floats:
        return np.array([round((stamp - self.first).days / 7) for stamp in stamps], dtype=np.float64)

    def axis(self, ax: Axes) -> None:
        """Label as many Mondays as have room, the last one among them."""
        ax.set_xlim(-0.6, self.count - 0.4)
        names = [f"{monday.day} {monday:%b}" for monday in self._mondays()]
        slot = rectangle_of(ax).width / self.count
        every = max(1, int(np.ceil((max(width(name, SMALL_PT) for name in names) + _APART) / slot)))
        shown = range(self.count - 1, -1, -every)
        ax.set_xticks(list(shown), [names[place] for place in shown], size=SMALL_PT)

    def _mondays(self) -> list[pd.Timestamp]:
        return [self.first + pd.Timedelta(weeks=place) for place in range(self.count)]
