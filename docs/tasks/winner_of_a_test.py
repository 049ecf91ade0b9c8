"""The test of the templates of a step: which is better, or how long until it is known."""

result = of.stats.ab_test(snapshot)
