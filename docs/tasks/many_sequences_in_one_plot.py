"""All sequences in one plot, with intervals."""

result = of.plots.plot_rates(of.stats.sequence_engagement(snapshot))
