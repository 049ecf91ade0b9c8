"""Reply rate by sequence and persona, for a quarter."""

result = of.stats.engagement(snapshot, by=["sequence", "persona"], period="2026-Q1")
