"""Where the sources of rows may be read: inside folders that the operator named, and nowhere else."""

from __future__ import annotations

import copy
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from unveil.data.media_types import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from unveil.errors import DataError
from unveil.video.addresses import is_address

Missing = Literal["off", "live", "outside", "gone", "changed", "unreadable"]


class SourceMissingError(DataError):
    """The source of a row cannot be shown.

    Args:
        state: "off": the operator named no folder; "live": it was a stream; "outside": it lies in no named folder;
            "gone": there is no such file; "changed": it shows something else; "unreadable": it is damaged.
        message: the same for a person.
    """

    def __init__(self, state: Missing, message: str) -> None:
        super().__init__(message)
        self.state: Missing = state


class SourceRoots:
    """Folders that sources may be read from; links count by where they lead.

    Args:
        roots: the folders.
        option: of `unveil serve` that names them.
        uploads: a folder with what was sent, a folder for each gallery, which is closed though it lie in a root: `of`
            opens what was sent to one gallery. Roots inside it are open.

    Raises:
        DataError: one is no folder.
    """

    def __init__(self, roots: Sequence[Path] = (), *, option: str = "--sources", uploads: Path | None = None) -> None:
        self._option = option
        for root in (*roots, *(() if uploads is None else (uploads,))):
            if not root.is_dir():
                raise DataError(f"{root}: no such folder; name a folder with the sources of galleries")
        self._roots = tuple(Path(os.path.realpath(root)) for root in roots)
        self.closed = None if uploads is None else Path(os.path.realpath(uploads))

    def of(self, gallery: str) -> SourceRoots:
        """Return the same folders, and of the uploads those to one gallery."""
        if self.closed is None:
            return self
        found = copy.copy(self)
        found._roots = tuple(dict.fromkeys((*self._roots, Path(os.path.realpath(self.closed / gallery)))))
        return found

    def find(self, source: str) -> Path:
        """Return the file, or folder of numbered images, that a row names as its source.

        A relative path is looked for below each root.

        Raises:
            SourceMissingError: it may not be shown, or is not there.
        """
        if not self._roots:
            raise SourceMissingError(
                "off",
                f"no folder is open for this: `unveil serve {self._option} FOLDER` names where files may be read",
            )
        if is_address(source):
            raise SourceMissingError("live", "it was a live stream, of which nothing but the crops was kept")
        named = Path(source)
        places = [named] if named.is_absolute() else [root / named for root in self._roots if named.parts]
        for path in places:
            try:
                real = Path(os.path.realpath(path))
                self.check(real, source)
                kind = real.stat().st_mode
            except SourceMissingError:
                if named.is_absolute():
                    raise
                continue
            except (OSError, ValueError):  # not there, too long, or with a NUL in it
                continue
            if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
                return real
        raise SourceMissingError("gone", f"{_short(source)} is not there any more, or was moved")

    def listed(self, under: str | None = None) -> list[tuple[Path, bool]]:
        """Return what may be named, and which are folders: the roots, or what lies in a folder below one.

        Of files, videos and images are; links that lead out of all roots, and hidden files, are not.

        Raises:
            SourceMissingError: the folder lies in no root, or is not there.
        """
        if under is None:
            # Nothing may have been sent to the gallery yet.
            return [(root, True) for root in self._roots if self._is_open(root) and root.is_dir()]
        folder = self.find(under)
        if not folder.is_dir():
            raise SourceMissingError("gone", f"{_short(under)} is no folder")
        try:
            inside_it = list(folder.iterdir())
        except OSError as e:
            raise SourceMissingError("unreadable", f"{_short(under)} cannot be listed: {e.strerror or e}") from None
        found = []
        for path in sorted(inside_it, key=lambda path: (not path.is_dir(), path.name.lower())):
            inside = self._is_open(Path(os.path.realpath(path)))
            known = path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES
            if inside and known and not path.name.startswith("."):
                found.append((path, path.is_dir()))
        return found

    def check(self, path: Path, source: str) -> None:
        """Refuse a path that leads out of all roots.

        Args:
            path: what is to be read.
            source: what errors call it.

        Raises:
            SourceMissingError: it does.
        """
        if not self._is_open(Path(os.path.realpath(path))):
            raise SourceMissingError("outside", f"{_short(source)} lies in no folder that this server may read")

    def _is_open(self, real: Path) -> bool:
        roots = self._roots
        if self.closed is not None and real.is_relative_to(self.closed):
            roots = tuple(root for root in roots if root != self.closed and root.is_relative_to(self.closed))
        return any(real.is_relative_to(root) for root in roots)


def _short(source: str) -> str:
    return "/".join(source.split("/")[-2:])
