"""What the dataset readers share: finding the root, listing images in a fixed order, and matching filename patterns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from unveil.data.walk import LeftOut, LeftOutNote, is_foreign, walk
from unveil.errors import DataError
from unveil.records import Sample


class Listing(list[Path]):
    """Image files of a folder, and what was left out there."""

    def __init__(self, paths: Iterable[Path], left_out: LeftOut) -> None:
        super().__init__(paths)
        self.left_out = left_out


@dataclass(frozen=True)
class Root:
    """The folder of a dataset, and what had to be corrected to find it."""

    path: Path
    notes: tuple[str, ...] = ()

    def key(self, path: Path) -> str:
        """Return the key of a file: its path relative to the root, with "/"."""
        return path.relative_to(self.path).as_posix()


def find_root(given: Path, folders: Sequence[str], *, outer: Sequence[str] = ()) -> Root:
    """Find the folder that holds all of ``folders``.

    The outer folder of the published archive may be left out of the path or not; a path that is one level too high
    or too low is corrected, and a note says so.

    Args:
        given: what the user named.
        folders: folders that stand directly in the root ("query"), or deeper ("rgb/train").
        outer: names of folders in which the archive wraps the root; may be nested ("a/b").

    Raises:
        DataError: no such folder is there, or more than one.
    """
    if not given.is_dir():
        raise DataError(f"{given}: no such folder; expected one that holds {', '.join(folders)}")
    found = search_root(given, lambda path: all((path / folder).is_dir() for folder in folders), outer=outer)
    if found is not None:
        return found
    missing = [folder for folder in folders if not (given / folder).is_dir()]
    there = ", ".join(p.name for p in _folders_in(given)[:8]) or "no folders"
    raise DataError(f"{given}: expected the folders {', '.join(folders)}; missing {', '.join(missing)}; found {there}")


def search_root(given: Path, complete: Callable[[Path], bool], *, outer: Sequence[str] = ()) -> Root | None:
    """Return the folder that is a whole dataset: the given one, one that the archive wraps, one below or above.

    Args:
        given: a folder that exists.
        complete: whether a folder is one.
        outer: names of folders in which the archive wraps the root.

    Raises:
        DataError: there are several below.
    """
    for path in (given, *(given / wrapper for wrapper in outer)):
        if complete(path):
            return Root(path)
    children = _folders_in(given)
    below = [path for child in children for path in (child, *(child / w for w in outer)) if complete(path)]
    if len(below) > 1:
        raise DataError(f"{given}: more than one dataset is in it: {', '.join(map(str, below))}; name one of them")
    if below:
        return Root(below[0], (f"{given} is above the dataset; read {below[0]} instead",))
    above = given.resolve().parent
    return Root(above, (f"{given} is inside the dataset; read {above} instead",)) if complete(above) else None


def _folders_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not is_foreign(p.name))


def list_images(folder: Path, *, recursive: bool = False) -> Listing:
    """Return the image files of a folder, sorted by relative path; see `unveil.data.walk.walk`.

    Raises:
        DataError: the folder does not exist.
    """
    found = walk(folder, recursive=recursive)
    found.leave_out_videos()
    return Listing(found.images, found.left_out)


def require_images(folder: Path, *, recursive: bool = False) -> Listing:
    """Return the images of a folder, sorted.

    Raises:
        DataError: there is none.
    """
    found = list_images(folder, recursive=recursive)
    if not found:
        left_out = f" ({found.left_out})" if str(found.left_out) else ""
        raise DataError(f"{folder}: no image in it; was the archive extracted only in part?{left_out}")
    return found


class FileNote(str):
    """A note of a reader that carries every file it speaks of, however many; as text it names a few."""

    files: tuple[str, ...]

    # ``files`` has a default because copying a text passes the text alone.
    def __new__(cls, text: str, files: Iterable[str] = ()) -> FileNote:
        """Return the note."""
        note = super().__new__(cls, text)
        note.files = tuple(files)
        return note


def duplicate_frames(keys: Sequence[str]) -> list[FileNote]:
    """Return a note when keys differ in nothing but their suffix: a copy would be a match that proves nothing."""
    count = Counter(PurePosixPath(key).with_suffix("").as_posix() for key in keys)
    twice = [key for key in keys if count[PurePosixPath(key).with_suffix("").as_posix()] > 1]
    said = f"{len(twice)} files share person and frame with another file, for example {', '.join(twice[:2])}; all kept"
    return [FileNote(said, twice)] if twice else []


class SeenPeopleNote(FileNote):
    """A note that people are in training and test at once."""


def seen_people(samples: Sequence[Sample]) -> list[SeenPeopleNote]:
    """Return a note when people of the training are tested too; only for data whose persons are named once for all."""
    trained = {sample.person for sample in samples if sample.split == "train"} - {None}
    tested = [s for s in samples if s.split in ("query", "gallery") and s.person in trained]
    count = len({sample.person for sample in tested})
    who = f"{count} {'person is' if count == 1 else 'people are'}"
    said = f"{who} in train and in query or gallery: figures of people who were learnt say nothing of others"
    return [SeenPeopleNote(said, [sample.key for sample in tested])] if tested else []


class Names:
    """Images whose names match a filename pattern; what does not is counted and said, never guessed.

    Args:
        pattern: regular expression matched at the beginning of the **basename** only, so that no folder above can
            match it.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)
        self._strange: list[str] = []
        self._left_out = LeftOut()

    @property
    def notes(self) -> list[str]:
        """What was left out: image names outside the filename pattern, and files that are no data."""
        said = str(self._left_out)
        return [*self._strange, *([LeftOutNote(said, self._left_out)] if said else [])]

    def match(self, paths: Sequence[Path], where: str) -> Iterator[tuple[Path, re.Match[str]]]:
        """Yield each path with the match of its name; ``where`` names the place in the note about the others."""
        if isinstance(paths, Listing):
            self._left_out.add(paths.left_out)
        strange: list[Path] = []
        for path in paths:
            match = self._pattern.match(path.name)
            if match:
                yield path, match
            else:
                strange.append(path)
        if strange:
            said = (
                f"{where}: {len(strange)} of {len(paths)} image names do not match the dataset's filename pattern "
                f"and were left out, for example {strange[0].name!r}"
            )
            self._strange.append(FileNote(said, (path.as_posix() for path in strange)))

    def scan(self, folder: Path, *, recursive: bool = False) -> Iterator[tuple[Path, re.Match[str]]]:
        """Yield the images of a folder, sorted, with the match of their names.

        Raises:
            DataError: there is no image in it.
        """
        return self.match(require_images(folder, recursive=recursive), folder.name)
