"""Human parsing: label sets, mappings between them, the files of other tools, parsers, and the project's own tree."""

from unveil.parsing.default import default_parser

__all__ = ["default_parser"]
