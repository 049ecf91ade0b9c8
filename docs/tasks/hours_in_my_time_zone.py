"""When replies come, in a time zone of your own."""

result = of.stats.send_time_heatmap(snapshot, clock="org", tz="Europe/Berlin")
