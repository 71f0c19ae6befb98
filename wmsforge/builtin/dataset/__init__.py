"""Writing answers as a dataset: rows, train/eval split, card, and the exporter that others build on."""
