"""The engine: runs a planned recipe."""
