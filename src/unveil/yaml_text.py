"""YAML of users and strangers: bounded in size, without aliases, and whatever is wrong with it is one error."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import ComposerError

MAX_BYTES = 100_000  # of a text; PyYAML reads about as much in a second


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            # A few lists of aliases unfold to gigabytes wherever the value is shown or copied.
            mark = self.peek_event().start_mark
            raise ComposerError(None, None, "expected each value written out, found an alias (*name)", mark)
        return super().compose_node(parent, index)


def read_yaml(text: str | bytes) -> Any:
    """Return the value of a YAML text.

    Args:
        text: the text, or its UTF-8 bytes.

    Raises:
        ValueError: it is no YAML, has an alias or a value that is none of its type, nests too deep, or is too long.
    """
    data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes")
    try:
        return yaml.load(data.decode(), Loader=_PlainLoader)
    # PyYAML lets dates and numbers that are none raise as they like, the tag !!timestamp an AttributeError.
    except (yaml.YAMLError, AttributeError, ValueError, RecursionError) as e:
        raise ValueError(str(e)) from None
