"""Environments that plugins own, built once from a lock and shared, and the worker that runs jobs in them."""
