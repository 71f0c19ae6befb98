"""YAML with the 1.2 meaning of values, and where every value stands in its file."""
