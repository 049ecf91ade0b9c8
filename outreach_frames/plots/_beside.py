"""Labels at the right of a panel, moved apart so that none touches another, each joined to what it names."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from outreach_frames.plots._page import rectangle_of
from outreach_frames.plots._style import SMALL_PT
from outreach_frames.plots._text import line_height

_JOIN, _TEXT = 0.1, 0.14


def label_beside(ax: Axes, wanted: Sequence[float], texts: Sequence[str], inks: Sequence[str]) -> None:
    """
    Write texts at heights of the y axis, as near as they can stand; set the limits of the axis first.

    What lies above the axis is named at its upper end, without a joining line.
    """
    box = rectangle_of(ax)
    top = ax.get_ylim()[1]
    gap = line_height(SMALL_PT) * top / box.height
    heights = spread([min(height, top) for height in wanted], gap, low=gap / 2, high=top + gap / 2)
    beside = blended_transform_factory(ax.transAxes, ax.transData)
    for height, y, text, ink in zip(wanted, heights, texts, inks, strict=True):
        if height <= top:
            ax.plot([1, 1 + _JOIN / box.width], [height, y], color=ink, lw=0.6, transform=beside, clip_on=False)
        ax.text(1 + _TEXT / box.width, y, text, transform=beside, size=SMALL_PT, color=ink, va="center_baseline")


def spread(wanted: Sequence[float], gap: float, *, low: float = -np.inf, high: float = np.inf) -> list[float]:
    """
    Move positions apart until neighbours are `gap` from each other, keeping their order.

    They stay near their place, and between `low` and `high`; where there is no room for all, they go on beyond `high`.
    """
    moved = _apart(wanted, gap)
    order = sorted(range(len(wanted)), key=lambda place: (moved[place], place))
    for rank, place in enumerate(reversed(order)):
        moved[place] = min(moved[place], high - rank * gap)
    for rank, place in enumerate(order):
        moved[place] = max(moved[place], low + rank * gap)
    return moved


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Join what is too close into blocks around their common middle."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    blocks: list[list[int]] = []
    centres: list[float] = []
    for place in order:
        blocks.append([place])
        centres.append(wanted[place])
        while len(blocks) > 1 and centres[-1] - centres[-2] < gap * (len(blocks[-1]) + len(blocks[-2])) / 2:
            joined = blocks.pop(-2) + blocks.pop()
            del centres[-2:]
            blocks.append(joined)
            centres.append(sum(wanted[member] for member in joined) / len(joined))
    moved = [0.0] * len(wanted)
    for block, centre in zip(blocks, centres, strict=True):
        for rank, place in enumerate(block):
            moved[place] = centre + (rank - (len(block) - 1) / 2) * gap
    return moved
