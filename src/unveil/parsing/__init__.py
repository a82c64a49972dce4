"""Human parsing: label sets, mappings between them, the files of other tools, parsers, and the project's own tree.

It imports nothing: label sets and mappings do without a parser, and a process of a render starts the faster.
"""
