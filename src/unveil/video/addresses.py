"""Addresses of streams and recordings: what one is, and what of it may be shown and kept."""

from __future__ import annotations

import re

ADDRESSES = ("rtsp", "rtsps", "http", "https", "tcp", "udp", "srt")
# Cameras take names and passwords as values too: `?user=a&password=b`, or in the path `/user=a_password=b_channel=1`.
SECRET = re.compile("user|usr|login|pass|pwd|token|auth|secret", re.IGNORECASE)
IN_PATH, IN_QUERY = "([&;/]|_(?=[A-Za-z]+=[^=]))", "([&#])"  # between values
HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d{1,5})?")


def is_address(source: str) -> bool:
    """Return whether a source is the address of a stream and not a file."""
    return source.partition("://")[0].lower() in ADDRESSES and "://" in source


def without_password(source: str) -> str:
    """Return an address without the names, passwords and tokens in it; anything else as it is."""
    scheme, mark, rest = source.partition("://")
    if not mark:
        return source
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    if not HOST.fullmatch(re.split("[?#]", host, maxsplit=1)[0]):  # `name:pass/word@host`: what follows ":" is no port
        host, slash, path = f"{host}{slash}{path}".rpartition("@")[2].partition("/")
    shown = f"{host}{slash}{path}"
    place = re.split("[?#]", shown, maxsplit=1)[0]
    return f"{scheme}://{_blanked(place, IN_PATH)}{_blanked(shown[len(place) :], IN_QUERY)}"


def _blanked(text: str, between: str) -> str:
    parts = re.split(between, text)
    for n, part in enumerate(parts):
        if found := SECRET.search(part):
            parts[n] = part[: part.find("=", found.end()) + 1] or part
    return "".join(parts)
