"""Reply rate by team; a mailing of two teams counts in each."""

result = of.stats.engagement(org, by="team")
