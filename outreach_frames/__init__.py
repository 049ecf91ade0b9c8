"""Outreach organisations as pandas DataFrames."""
