"""Median time to a reply, with its interval."""

curve = of.stats.kaplan_meier(of.stats.time_to_event(snapshot))
result = of.stats.attached(curve, "medians")
