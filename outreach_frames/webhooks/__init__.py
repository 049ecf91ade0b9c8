"""
Webhooks: verify a delivery, read it, receive deliveries durably, and read them back as a frame.

Outreach counts every HTTP answer as delivered and repeats only what no answer came to, so a receiver must store before
it answers, and consumers should compare with what the API lists from time to time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
