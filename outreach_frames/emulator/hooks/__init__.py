"""Webhooks: who wants to know of a change, what they are told, and how it is delivered."""
