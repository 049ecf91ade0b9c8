"""Warn at the line of the user's code that called this package."""

import inspect
import warnings

from outreach_frames.errors import OutreachWarning

PACKAGE = __name__.partition(".")[0]


def warn(message: str, category: type[OutreachWarning]) -> None:
    """Warn at the innermost line outside this package."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
