"""A watch-list: people who raise an alert when a camera sees them."""
