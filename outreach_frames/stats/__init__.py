"""
Engagement statistics: frames in, frames out; nothing is fetched, drawn or read from the clock.

Rates are fractions in [0, 1] and travel with their denominator (``_n``) and interval (``_lo``, ``_hi``); they are
missing where the denominator is 0. `explain` prints how a result was made.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
