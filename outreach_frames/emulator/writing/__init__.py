"""
What changes an organisation: bodies read and checked, records created, updated and deleted, actions, long-running work.

Every change goes through an `editor.Editor`, which stamps it, keeps both sides of relationships in step and tells
whoever listens (the event log, webhooks).
"""
