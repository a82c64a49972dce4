"""A page in a real browser, for every test of this folder."""

from browsing import browser, open_page

__all__ = ["browser", "open_page"]
