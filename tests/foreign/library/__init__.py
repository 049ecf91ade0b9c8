"""A Django app of a few tables, for the server in ``django_library.py``."""
