"""Environments that plugins own, and the worker that runs a job in one."""
