"""Memory that a step of a network lets go is kept for the next one.

Left alone, the allocator of glibc gives blocks beyond 32 MiB back to the system at once, and takes them again page by
page, zeroed, for the next layer: embedding with PyTorch spent half of its processor time so.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of mallopt, in <malloc.h>
LARGEST = 1 << 30  # bytes of a block that comes from the heap
LARGE = 8 << 20  # bytes; Pillow keeps the pixels of a large image in blocks of 16 MiB
OLDER = 32 << 20  # the largest that older versions of glibc take
NEVER = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; return whether the allocator can be told to."""
    mallopt = _mallopt()
    return mallopt is not None and bool(
        (mallopt(MMAP_THRESHOLD, LARGEST) or mallopt(MMAP_THRESHOLD, OLDER)) and mallopt(TRIM_THRESHOLD, NEVER)
    )


def return_large_blocks() -> bool:
    """Give large freed blocks back to the system at once; return whether the allocator can be told to.

    Left alone it comes to keep blocks of up to 32 MiB, for every thread that ever decoded a large image.
    """
    mallopt = _mallopt()
    return mallopt is not None and bool(mallopt(MMAP_THRESHOLD, LARGE))


def _mallopt() -> Callable[[int, int], int] | None:
    try:
        return ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return None
