"""All events of one prospect, in order."""

result = of.fetch_events(org, filter={"prospect": 1}, sort="event_at")
