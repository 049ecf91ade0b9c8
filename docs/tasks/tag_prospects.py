"""Tag two hundred prospects; tags that others set stay."""

ids = of.fetch_prospects(org, fields=["id"], limit=200)["id"]
result = of.patterns.add_tags(org, "prospects", ids, ["webinar"], confirm=True)
