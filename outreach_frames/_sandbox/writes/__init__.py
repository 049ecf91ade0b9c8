"""
Writes: request bodies, changes of records, actions, and long-running jobs.

Every change is made by a `unit_of_work.UnitOfWork`: it sets timestamps, updates both sides of relationships, and calls
the listeners (the event log and webhooks).
"""
