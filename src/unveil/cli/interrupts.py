"""A request to end (SIGTERM) or a terminal that is gone (SIGHUP) is to a command what Ctrl-C is.

By default they end a process on the spot: what it holds is not let go, and its own PostgreSQL is left to others.
"""

from __future__ import annotations

import signal
from types import FrameType


def end_as_ctrl_c() -> None:
    """Take both signals as Ctrl-C from now on; one that is ignored stays so (``nohup``)."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _as_ctrl_c)


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    # Training and others have a way of their own to end. A shell lets its background jobs ignore Ctrl-C, not this.
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)
    else:
        raise KeyboardInterrupt
