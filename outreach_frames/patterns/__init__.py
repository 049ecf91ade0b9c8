"""
The patterns of the vendor's guide, one function each, in its order and its words.

Each docstring says which calls it makes. What these functions return are records (`pandas.Series`) and frames as
everywhere in this package; what they raise is what the client's verbs raise.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
