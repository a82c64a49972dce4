"""Variables of MATLAB files that come beside images; whatever is wrong with such a file is one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unveil.errors import DataError, MissingExtraError

MAX_BYTES = 1 << 30
_HDF5 = b"\x89HDF\r\n\x1a\n"
_PAGES = (b"<!doctype html", b"<html")


def read_mat(path: Path, variables: Sequence[str], *, expected: str) -> dict[str, Any]:
    """Read variables of a MATLAB file of version 4 to 7.

    Args:
        path: the file.
        variables: their names; all must be there.
        expected: what the file should be, for errors.

    Returns:
        Name -> array, as SciPy gives it.

    Raises:
        DataError: the file is missing, damaged or another one.
        MissingExtraError: SciPy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtraError(f"reading {path.name}", "mat") from None
    wrong = f"{path} is not {expected}: "
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: expected {expected}: {getattr(e, 'strerror', None) or e}") from None
    if not size:
        raise DataError(f"{wrong}it is empty")
    if size > MAX_BYTES:
        raise DataError(f"{wrong}it has {size:,} bytes, and the limit is {MAX_BYTES:,}")
    if head.lstrip()[:20].lower().startswith(_PAGES):
        raise DataError(f"{wrong}it is a web page, perhaps saved in place of the file")
    if _HDF5 in head or b"MATLAB 7.3" in head:
        raise DataError(f"{wrong}it is a file of MATLAB 7.3; save it with -v7")
    try:
        found: dict[str, Any] = loadmat(path, variable_names=list(variables))
    except Exception as e:  # its decoder raises anything on damaged data
        raise DataError(f"{wrong}it is no MATLAB file that can be read ({e or type(e).__name__})") from None
    if missing := [name for name in variables if name not in found]:
        raise DataError(f"{wrong}it has no variable {missing[0]!r}")
    return found
