"""Human parsing: label sets, mappings between them, the files of other tools, parsers, and the project's own tree.

The parser is loaded when it is asked for: label sets and mappings do without.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unveil.parsing.default import default_parser

__all__ = ["default_parser"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from unveil.parsing.default import default_parser

    return default_parser
