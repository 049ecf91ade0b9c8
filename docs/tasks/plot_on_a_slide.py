"""A picture for a slide, in its size and resolution."""

with of.plots.theme(size="slide"):
    result = of.plots.plot_rates(of.stats.engagement(snapshot, by="sequence"))
result.figure.savefig("replies.png")
