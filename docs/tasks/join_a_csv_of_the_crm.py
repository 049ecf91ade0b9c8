"""Mailings beside a CSV file of the CRM, by e-mail address."""

deals = pd.read_csv("deals.csv")
query = "select amount, p.id from prospects p join deals on list_contains(p.emails, deals.email)"
result = snapshot.sql(query, deals=deals)
