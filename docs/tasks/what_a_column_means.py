"""What the columns of a table mean."""

result = of.columns("mailings").set_index("column")
