"""Mailboxes that reached their daily limit, with the days."""

capacity = of.stats.send_capacity(snapshot)
result = capacity[capacity["send_capacity_used"] >= 1]
