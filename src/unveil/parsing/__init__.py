"""Human parsing: label sets, mappings between them, the files of other tools, parsers, and the project's own tree."""
