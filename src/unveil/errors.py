"""The errors that a user can act on. The command line prints their message without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnveilError(Exception):
    """Base of every error that is the input's fault: says what was expected, what was found, where, what to do."""


class DataError(UnveilError):
    """A dataset, a manifest or an image cannot be used as it is."""


class ImageError(DataError):
    """One image cannot be read; the message names the file and the reason."""


class RecipeError(UnveilError):
    """A recipe or a setting is wrong; the message names the key, the file and the nearest valid key."""


class ProtocolError(UnveilError):
    """A protocol cannot be applied to a dataset; the message names what is missing."""


class CheckpointError(UnveilError):
    """A checkpoint or a file of weights does not fit; the message lists what differs."""


class DownloadError(UnveilError):
    """A published file cannot be fetched; the message names the address and the reason."""


class OfflineError(DownloadError):
    """A file is not here and there is no network; the message says where it can be had and where to put it."""


class TrainingError(UnveilError):
    """Training cannot continue, for example because a loss is not finite."""


class InterruptedRunError(UnveilError):
    """A long step was interrupted; what it did so far is saved, and the message says how to resume."""


class MissingExtraError(UnveilError):
    """An optional dependency is needed; the message names the extra to install."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra unveil[{extra}]: from the clone, pip install '.[{extra}]'")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the closest known word, or an empty string."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {found[0]!r}?)" if found else ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short: Python's own, or PyTorch's for a device or for main memory."""
    # By name, as nothing here imports PyTorch.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
