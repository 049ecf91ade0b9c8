"""
What changes an organization: bodies read and checked, records created, updated and deleted, actions, long-running work.

Every change goes through an `unit_of_work.UnitOfWork`, which stamps it, keeps both sides of relationships in step and
tells whoever listens (the event log, webhooks).
"""
