"""Writing that never leaves half a file, reading that checks what it reads, and where caches live."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unveil.errors import UnveilError

log = logging.getLogger(__name__)


@contextmanager
def atomic_path(target: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``target`` that replaces it when the block ends well, and vanishes otherwise.

    Args:
        target: file to be written.
        private: nobody but its owner may ever read it; the temporary file is there, empty, when the block begins.

    Raises:
        UnveilError: the file cannot be written (a full disk, missing rights); ``target`` is as it was.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if private:
            temporary.unlink(missing_ok=True)  # what a killed process of the same number left may be open to others
            temporary.touch(0o600, exist_ok=False)
    except OSError as e:
        raise UnveilError(f"cannot write {target}: {e.strerror or e}") from e
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # Some writers (safetensors) make files that only their owner can read.
        temporary.chmod(0o600 if private else 0o666 & ~_umask())
        temporary.replace(target)
    except OSError as e:
        raise UnveilError(f"cannot write {target}: {e.strerror or e}; what was there before is untouched") from e
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_bytes(target: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file atomically; see `atomic_path`."""
    with atomic_path(target, private=private) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path, text: str, *, private: bool = False) -> None:
    """Write a UTF-8 file atomically; see `atomic_path`."""
    write_bytes(target, text.encode(), private=private)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside ``target`` that becomes it when the block ends well, and vanishes otherwise."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    except OSError as e:
        raise UnveilError(f"cannot write in {target.parent}: {e.strerror or e}") from e
    try:
        yield temporary
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    except OSError as e:
        raise UnveilError(f"cannot write {target}: {e.strerror or e}") from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(target: Path, *, busy: str | None = None, refusal: str | None = None) -> Iterator[None]:
    """Let one process at a time build ``target``; where the system has no such locks, builds only waste time.

    Args:
        target: what is built.
        busy: what is said where another process has the lock and is waited for; nothing by default.
        refusal: what is raised where another process has the lock, in place of waiting.

    Raises:
        UnveilError: the refusal, or nothing can be written beside the target.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.with_name(f".{target.name}.lock").open("w")
    except OSError as e:
        raise UnveilError(f"cannot write in {target.parent}: {e.strerror or e}") from e
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy or refusal else 0))
        except BlockingIOError:
            if refusal:
                raise UnveilError(refusal) from None
            log.warning("%s: %s", target, busy)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as e:  # network shares that know no locks
            log.debug("%s: no lock: %s", target, e)
        yield


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let this process alone write into a folder within a block; it is made where it is not there.

    Raises:
        UnveilError: another process writes into it, or it cannot be written.
    """
    refusal = f"another process writes into {folder}: wait until it has ended, or choose another --out"
    with locked(folder / "run", refusal=refusal):
        yield


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def cache_dir() -> Path:
    """Return the folder of caches: ``$UNVEIL_CACHE``, else ``unveil`` under the user's cache folder."""
    base = os.environ.get("UNVEIL_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "unveil"
