"""What each mailbox sent on a day and in a week, of its limits, with its owner; the fullest first."""

used = [of.stats.send_capacity(snapshot, by=by) for by in ("day", "week")]
result = pd.concat(used).nlargest(10, "send_capacity_used")
