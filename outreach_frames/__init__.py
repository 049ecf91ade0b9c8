"""
Outreach organizations as pandas DataFrames.

>>> import outreach_frames as of
>>> with of.sandbox(prospects=50) as org:
...     mailings = of.fetch_mailings(org, include={"sequence": ["name"]})
...     rates = of.stats.engagement(mailings, by="sequence_id")

Connect with `sandbox` (an embedded organization) or `connect` (a live one); fetch with `fetch` and the
``fetch_<plural>`` functions; count with `stats`; draw with `plots`; keep with `take_snapshot`.

Names are loaded when first used, so that ``import outreach_frames`` costs next to nothing.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
