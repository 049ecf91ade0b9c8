"""
The patterns of the vendor's guide: one function for each.

Each docstring lists the calls that the function makes. The functions return records (`pandas.Series`) and frames, and
raise the errors of the client's verbs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
