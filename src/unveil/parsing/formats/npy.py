"""Arrays of numbers in ``.npy`` files of other tools."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unveil.errors import DataError


def read_npy(path: Path, what: str) -> NDArray[Any]:
    """Read an array of numbers.

    Args:
        path: the file.
        what: it should hold, for the message.

    Raises:
        DataError: the file is no such array, or shorter than it says; the message names it.
    """
    try:
        # A map of the file is made only where the file is as long as its header says: `np.load` takes the memory first.
        with np.errstate(over="ignore"):  # of a size that no file can have
            array = np.lib.format.open_memmap(path, mode="r")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"expected real numbers, found {array.dtype}")
        return np.array(array)
    except (OSError, ValueError, TypeError, OverflowError, MemoryError, RecursionError, SyntaxError, TokenError) as e:
        raise DataError(f"{path}: cannot read the {what}: {e}") from None
