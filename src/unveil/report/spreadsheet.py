"""Tables that people open in a spreadsheet, which takes some texts for formulas and computes them."""

from __future__ import annotations

from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what one begins with


def cell(value: Any) -> Any:
    """Return a value of a table so that no spreadsheet takes it for a formula.

    >>> cell("=1+1"), cell("gate"), cell(-0.5), cell(None)
    ("'=1+1", 'gate', -0.5, None)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
