"""What a snapshot and its nightly refresh cost, before anything is fetched."""

result = of.plan_snapshot(org, "nightly")
