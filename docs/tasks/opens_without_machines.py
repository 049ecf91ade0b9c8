"""Opens without those of machines."""

suspects = of.stats.suspect_engagement(snapshot)
machines = suspects.loc[suspects["suspect_open"], "mailing_id"]
mailings = snapshot.frame("mailings")
result = of.stats.engagement(mailings[~mailings["id"].isin(machines)], by="sequence_id")
