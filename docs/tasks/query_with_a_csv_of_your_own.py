"""SQL over the tables and a CSV file of your own."""

quota = pd.read_csv("quota.csv")
query = (
    "select user_id, count(replied_at) / any_value(quota) as share from mailings join quota using (user_id) group by 1"
)
result = snapshot.sql(query, quota=quota)
