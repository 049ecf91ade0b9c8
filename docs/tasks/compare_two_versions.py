"""What changed between two versions of a snapshot."""

taken = of.take_snapshot(org, "versions", resources=["users"])
org.update("users", 1, title="VP Sales")
result = taken.refresh(org).diff(taken.version)
