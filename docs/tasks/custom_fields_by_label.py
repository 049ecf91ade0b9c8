"""Custom fields under the labels of the organization."""

result = of.fetch_prospects(org, custom="labels")
