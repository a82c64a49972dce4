"""Memory that a step of a network lets go is kept for the next one.

Left alone, the allocator of glibc gives blocks beyond 32 MiB back to the system at once, and takes them again page by
page, zeroed, for the next layer: embedding with PyTorch spent half of its processor time so.
"""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of mallopt, in <malloc.h>
LARGEST = 1 << 30  # bytes of a block that comes from the heap
OLDER = 32 << 20  # the largest that older versions of glibc take
NEVER = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; return whether the allocator can be told to."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return False
    return bool((mallopt(MMAP_THRESHOLD, LARGEST) or mallopt(MMAP_THRESHOLD, OLDER)) and mallopt(TRIM_THRESHOLD, NEVER))
