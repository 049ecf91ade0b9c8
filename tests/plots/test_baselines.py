"""
A few pictures beside stored ones, small and gray, so that a change of layout is seen however it came about.

Fonts are rendered a little differently from one version of matplotlib to the next: the comparison is coarse, and the
other tests are the exact ones. After an intended change run with ``OUTREACH_NEW_BASELINES=1`` and look at the files.
"""

import os
from io import BytesIO
from pathlib import Path

import matplotlib.image as mpimg
import numpy as np
import pytest

from outreach_frames import plots
from tests.plots.plot_results import experiment_result, funnel_result, incidence_result, names_for, rates_result

STORED = Path(__file__).parent / "baselines"
PICTURES = {
    "rates": lambda: plots.plot_rates(rates_result(10)),
    "funnel": lambda: plots.plot_step_funnel(funnel_result(3), names=names_for(3)),
    "incidence": lambda: plots.plot_cumulative_incidence(incidence_result()),
    "test": lambda: plots.plot_ab_test(experiment_result()),
}
DOTS_PER_INCH = 40
BLOCK = 4
"""Pixels are averaged in squares of this side: letters become gray patches, whatever their outlines."""


def gray_blocks(png: BytesIO | Path) -> np.ndarray:
    """Read a picture as averages of square blocks, 0 for black and 1 for white."""
    gray = mpimg.imread(png)[..., :3].mean(axis=2)
    high, wide = (side // BLOCK * BLOCK for side in gray.shape)
    return gray[:high, :wide].reshape(high // BLOCK, BLOCK, wide // BLOCK, BLOCK).mean(axis=(1, 3))


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_looks_as_it_did(name) -> None:
    """A whisker that vanishes or a label that moves changes some block by more than a tenth of its range."""
    png = BytesIO()
    PICTURES[name]().figure.savefig(png, format="png", dpi=DOTS_PER_INCH)
    if "OUTREACH_NEW_BASELINES" in os.environ:
        (STORED / f"{name}.png").write_bytes(png.getvalue())

    now, before = gray_blocks(BytesIO(png.getvalue())), gray_blocks(STORED / f"{name}.png")

    assert now.shape == before.shape
    assert np.abs(now - before).mean() < 0.004
    assert np.quantile(np.abs(now - before), 0.999) < 0.1
