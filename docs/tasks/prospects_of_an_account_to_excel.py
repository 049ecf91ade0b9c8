"""The prospects of an account, as an Excel file."""

result = of.fetch_prospects(org, filter={"account": 1})
of.export(result, "account.xlsx")
