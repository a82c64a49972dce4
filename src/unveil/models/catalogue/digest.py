"""Digests as publishers state them: whole SHA-256 or SHA-384, or the first digits that stand in a file's name."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

WHOLE = {"sha256": 64, "sha384": 96}
MIN_DIGITS = 8


@dataclass(frozen=True)
class Digest:
    """What the digest of a file must be.

    Args:
        algorithm: "sha256" or "sha384".
        digits: its hexadecimal digits in lower case: all of them, or at least the first eight, as torchvision and
            PyTorch's hub put them into file names (``resnet18-f37072fd.pth``).

    Raises:
        ValueError: another algorithm, too few or too many digits, or something that is no hexadecimal digit.
    """

    algorithm: str
    digits: str

    def __post_init__(self) -> None:
        longest = WHOLE.get(self.algorithm)
        if longest is None:
            raise ValueError(f"digest algorithm: expected {' or '.join(WHOLE)}, found {self.algorithm!r}")
        if not re.fullmatch(rf"[0-9a-f]{{{MIN_DIGITS},{longest}}}", self.digits):
            raise ValueError(
                f"{self.algorithm}: expected {MIN_DIGITS} to {longest} hexadecimal digits in lower case, "
                f"found {self.digits!r}"
            )

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``sha256:DIGITS`` or ``sha384:DIGITS``; see the class for the errors."""
        algorithm, _, digits = text.partition(":")
        return cls(algorithm, digits.lower())

    @classmethod
    def in_name(cls, name: str) -> Digest:
        """Return the SHA-256 prefix in a file name such as ``resnet18-f37072fd.pth``.

        Raises:
            ValueError: the name has none.
        """
        found = re.search(r"-([0-9a-f]{8,64})\.\w+(?:\.\w+)?$", name)
        if not found:
            raise ValueError(f"{name} has no digest in its name, as in resnet18-f37072fd.pth")
        return cls("sha256", found[1])

    def of(self, path: Path) -> str:
        """Return all digits of a file's digest by this algorithm."""
        with path.open("rb") as f:
            return hashlib.file_digest(f, self.algorithm).hexdigest()

    def fits(self, path: Path) -> bool:
        """Return whether a file has this digest."""
        return self.of(path).startswith(self.digits)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digits}"
