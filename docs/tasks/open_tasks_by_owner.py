"""How many open tasks each owner has."""

tasks = of.fetch_tasks(org, filter={"state": "incomplete"}, include={"owner": ["name"]})
result = tasks.groupby("owner__name").size()
