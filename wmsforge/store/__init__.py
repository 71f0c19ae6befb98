"""Durable storage: records with manifests, the ledger of calls, the workspace."""
