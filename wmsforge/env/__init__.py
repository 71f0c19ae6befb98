"""Environments that plugins own: built once from a lock, shared by all projects, and the worker that runs jobs in them."""
