"""The processes that train together: one, or several of which each has a device of its own."""
