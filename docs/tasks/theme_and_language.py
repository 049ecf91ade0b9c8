"""All pictures that follow: dark, with German numbers and dates."""

of.plots.theme(size="notebook", dark=True, locale="de")
result = of.plots.plot_trend(of.stats.trend(snapshot, by="month"))
