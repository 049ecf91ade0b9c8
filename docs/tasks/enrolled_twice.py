"""Prospects in several sequences at the same time."""

overlaps = of.stats.overlaps(snapshot)
result = overlaps[overlaps["open_enrollments"] > 1]
