"""Says before anything is spent whether a recipe can run on this machine, and what to do where it cannot."""
