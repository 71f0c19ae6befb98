"""Turn a folder of a trade's documents into a model that answers like that trade's expert.

The public door for plugin authors is `wmsforge.hookspecs` (what to register),
`wmsforge.steps` (what to subclass), `wmsforge.records` (what flows) and
`wmsforge.errors` (what to raise). Importing this package loads none of them.
"""

__version__ = "0.1.0"
