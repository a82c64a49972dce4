"""The one way in which folders are looked through, by readers of datasets and by every command that takes a folder.

What other programs leave behind is no data, links are followed once, and what is left out is counted and named.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from unveil.data.file_reads import reading
from unveil.data.media_types import media_type
from unveil.data.prefetch import in_threads
from unveil.errors import DataError
from unveil.label_sets import SCHEMES

# Of file managers, NAS systems and recycle bins; compared without case. Names that begin with "." are left out anyway.
FOREIGN = frozenset(
    (
        "__macosx",
        "@eadir",
        "@recycle",
        "@tmp",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "lost+found",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "__pycache__",
    )
)
PARSING = "parsing"  # folder of the project's own tree of maps, with one folder a label set
NAMED = 3  # names in a note, of each kind


def is_foreign(name: str) -> bool:
    """Return whether a file or folder of that name is hidden, or was left by another program."""
    return name.startswith(".") or name.casefold() in FOREIGN


def is_dir(path: Path) -> bool:
    """Return whether there is a folder of that name; a name that no folder can have is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long, or a NUL in it
        return False


def is_parsing_tree(path: Path) -> bool:
    """Return whether a folder is the project's own tree ``parsing/<scheme>`` of maps: images, but of no people."""
    return path.name == PARSING and any(is_dir(path / scheme) for scheme in SCHEMES)


@dataclass
class LeftOut:
    """What was not taken, as paths relative to the folder that was looked through.

    Args:
        foreign: files and folders that are hidden or were left by other programs; what is in them is not counted.
        links: links that lead nowhere, back, or to what is there already.
        closed: folders that cannot be opened.
        names: names that are no text in UTF-8.
        maps: trees of parsing maps, see `is_parsing_tree`.
        others: files of another kind than was asked for.
    """

    foreign: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    maps: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def add(self, other: LeftOut) -> None:
        """Count another folder's too."""
        for kind, names in vars(other).items():
            getattr(self, kind).extend(names)

    def __str__(self) -> str:
        words = {
            "foreign": ("hidden, or of another program", "hidden, or of other programs"),
            "links": ("link that leads nowhere or back", "links that lead nowhere or back"),
            "closed": ("folder that cannot be opened", "folders that cannot be opened"),
            "names": ("name that is not UTF-8", "names that are not UTF-8"),
            "maps": ("tree of parsing maps", "trees of parsing maps"),
            "others": ("file of another kind", "files of other kinds"),
        }
        parts = []
        for kind, (one, many) in words.items():
            names = getattr(self, kind)
            if names:
                shown = ", ".join(map(_printable, names[:NAMED])) + (", ..." if len(names) > NAMED else "")
                parts.append(f"{len(names)} {one if len(names) == 1 else many} ({shown})")
        return f"left out: {'; '.join(parts)}" if parts else ""


class LeftOutNote(str):
    """The note of a reader on what was left out; notes of several folders can be joined."""

    left_out: LeftOut

    # ``left_out`` has a default because copying a text passes the text alone.
    def __new__(cls, text: str, left_out: LeftOut | None = None) -> LeftOutNote:
        """Return the note."""
        note = super().__new__(cls, text)
        note.left_out = left_out or LeftOut()
        return note


def joined(notes: Iterable[str]) -> tuple[str, ...]:
    """Return notes with all that say what was left out as one, at the end."""
    rest, total = [], LeftOut()
    for note in notes:
        if isinstance(note, LeftOutNote):
            total.add(note.left_out)
        else:
            rest.append(note)
    return (*rest, LeftOutNote(str(total), total)) if str(total) else tuple(rest)


@dataclass
class Walk:
    """The files of a folder by kind, each sorted by relative path, and what was left out."""

    images: list[Path] = field(default_factory=list)
    videos: list[Path] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)

    def leave_out_videos(self) -> None:
        """Count videos with what was left out, where only images are wanted."""
        self.left_out.others += [path.name for path in self.videos]
        self.videos = []


def walk(folder: Path, *, recursive: bool = True, without: Path | None = None) -> Walk:
    """Look through a folder.

    Links to folders are followed, each real folder once: a folder that lies in the tree itself comes before a link to
    it, so nothing comes twice and no loop is entered.

    Args:
        folder: to look through.
        recursive: whether folders inside it are looked through too.
        without: a folder inside it that is left out as one that cannot be opened.

    Raises:
        DataError: it is no folder, or cannot be opened.
    """
    found = Walk()
    top = os.path.realpath(folder)
    closed = None if without is None else os.path.realpath(without)
    seen = {top} if closed is None else {top, closed}
    inside: deque[tuple[Path, str]] = deque([(folder, top)])
    linked: deque[tuple[Path, str]] = deque()

    def unseen() -> Iterator[tuple[Path, str]]:
        while inside or linked:
            if inside:
                yield inside.popleft()
                continue
            here, parent = linked.popleft()
            real = os.path.realpath(here)
            if real in seen or any(_contains(real, path) for path in (parent, top)):
                found.left_out.links.append(_relative(here, folder))
                continue
            seen.add(real)
            yield here, real

    # In a thread: a share that does not answer is named, and Ctrl-C ends at once. One after the other, as each listing
    # tells the next folders.
    with closing(in_threads(_listed, unseen(), workers=1, ahead=0)) as listings:
        for here, real, inside_it in listings:
            for entry in _entries(here, inside_it, folder=folder, left_out=found.left_out):
                path = here / entry.name
                if entry.is_dir(follow_symlinks=False):
                    below = f"{real.rstrip(os.sep)}{os.sep}{entry.name}"
                    if recursive and below == closed:
                        found.left_out.closed.append(_relative(path, folder))
                    elif recursive and below not in seen:
                        seen.add(below)
                        inside.append((path, below))
                elif entry.is_symlink() and _is_dir(entry):
                    if recursive:
                        linked.append((path, real))
                elif _is_file(entry):
                    _sort_in(found, path, folder=folder)
                else:
                    kind = found.left_out.links if entry.is_symlink() else found.left_out.others
                    kind.append(_relative(path, folder))
    for paths in (found.images, found.videos):
        paths.sort(key=lambda path: path.relative_to(folder).parts)
    for names in vars(found.left_out).values():
        names.sort()
    return found


def _listed(folder: tuple[Path, str]) -> tuple[Path, str, list[os.DirEntry[str]] | OSError]:
    """Return a folder with what is in it, sorted, or why it cannot be opened."""
    here, real = folder
    try:
        with reading(here), os.scandir(here) as entries:
            return here, real, sorted(entries, key=lambda entry: entry.name)
    except OSError as e:
        return here, real, e


def _entries(
    here: Path, inside: list[os.DirEntry[str]] | OSError, *, folder: Path, left_out: LeftOut
) -> list[os.DirEntry[str]]:
    """Return what is in a folder, without what is no data."""
    if isinstance(inside, OSError):
        if here == folder:
            missing = isinstance(inside, FileNotFoundError | NotADirectoryError)
            why = "no such folder" if missing else f"cannot be opened: {inside.strerror or inside}"
            raise DataError(f"{folder}: {why}") from None
        left_out.closed.append(_relative(here, folder))
        return []
    kept = []
    for entry in inside:
        if is_foreign(entry.name):
            left_out.foreign.append(_relative(here / entry.name, folder))
        elif not _is_text(entry.name):
            left_out.names.append(_relative(here / entry.name, folder))
        elif is_parsing_tree(here / entry.name):
            left_out.maps.append(_relative(here / entry.name, folder))
        else:
            kept.append(entry)
    return kept


def _sort_in(found: Walk, path: Path, *, folder: Path) -> None:
    kind = media_type(path)
    if kind == "image":
        found.images.append(path)
    elif kind == "video":
        found.videos.append(path)
    else:
        found.left_out.others.append(_relative(path, folder))


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _contains(outer: str, inner: str) -> bool:
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8 are kept as lone surrogates
        return False
    return True


def _printable(name: str) -> str:
    return name if name.isprintable() and _is_text(name) else ascii(name)
