"""Drawing by chance."""

import numpy as np

from outreach_frames.emulator.organisation.clock import Flags, Floats


def happens(chance: float | Floats, size: int, rng: np.random.Generator) -> Flags:
    """Decide `size` times whether something of this probability happens; one probability per draw may be given."""
    drawn: Flags = rng.random(size) < chance
    return drawn
