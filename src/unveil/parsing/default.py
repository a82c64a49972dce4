"""The parser that comes with the package: small, trained on rendered people alone."""

from __future__ import annotations

from pathlib import Path

from unveil.parsing.onnx_parser import OnnxParser

PACK = Path(__file__).parent / "pack"
DEFAULT_CARD = PACK / "parser.json"
PARSER_FILE = PACK / "parser.onnx"


def default_parser(threads: int = 0, scheme: str | None = None) -> OnnxParser:
    """Return the package's own parser.

    ``parse(images)`` gives label maps and how much of each part shows; see `OnnxParser.parse`.

    Args:
        threads: threads of one inference; ONNX Runtime's choice by default.
        scheme: label set: "lip20" (the default), "atr18", "pascal7", "cre7", "pab6" or "bpb8".

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        DataError: unknown label set.
    """
    return OnnxParser(DEFAULT_CARD, threads, scheme=scheme)
