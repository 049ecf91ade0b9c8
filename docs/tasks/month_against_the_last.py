"""A month against the one before, by sequence."""

result = of.stats.compare_periods(snapshot, statistic=of.stats.engagement, a="2026-01", b="2026-02", by="sequence_id")
