"""Enroll fifty prospects: first see who can be enrolled, then do it."""

ids = of.fetch_prospects(org, fields=["id"], limit=50)["id"]
planned = of.patterns.enroll(org, ids, sequence=1, mailbox=1)
result = of.patterns.enroll(org, ids, sequence=1, mailbox=1, confirm=True)
