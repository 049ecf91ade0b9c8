"""Reply rate by industry of the account."""

result = of.stats.engagement(snapshot, by="industry")
