"""Meetings by week, as a picture."""

trend = of.stats.trend(snapshot, metric="meetings")
result = of.plots.plot_trend(trend)
