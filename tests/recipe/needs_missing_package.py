"""A module of a component whose package is not installed."""

import package_that_is_not_there  # noqa: F401
