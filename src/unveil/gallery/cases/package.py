"""A case as one archive: report, crops, frames, clips, the searches, the audit extract, the models' cards, all hashed.

It is made of the case, the rows, their sources and the log alone: the same give the same bytes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from unveil import __version__
from unveil.atomic_io import sha256
from unveil.errors import MissingExtraError
from unveil.gallery.audit import Link
from unveil.gallery.case_records import Case
from unveil.gallery.cases.archive import write_archive
from unveil.gallery.cases.images import CaseImages
from unveil.gallery.cases.log import KEY
from unveil.gallery.cases.model_cards import find_card, model_words
from unveil.gallery.output.listing import columns
from unveil.gallery.output.timeline import iso, time_text
from unveil.gallery.records import EmbeddingSpace
from unveil.gallery.sources.roots import SourceRoots
from unveil.gallery.store.protocol import Store
from unveil.models.card import Card
from unveil.models.foreign.reid_card import ReidCard

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
MAX_CLIPS = 200
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class HashedFile(BaseModel):
    """Size in bytes and SHA-256 of a file of a package."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bytes: int = Field(ge=0)
    sha256: Hash


class Manifest(BaseModel):
    """What a package says of itself.

    Args:
        kind: that it is one.
        format: of the package.
        unveil: version that wrote it.
        case: name of the case.
        number: of the case in its store.
        changed: when the case was changed last, seconds since the epoch.
        faces: whether faces are to be seen.
        left_out: sentences about what could not be put in.
        files: all other files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["unveil case"] = "unveil case"
    format: Literal[1] = 1
    unveil: str
    case: str
    number: int
    changed: float
    faces: Literal["blurred", "as recorded"]
    left_out: tuple[str, ...]
    files: dict[Name, HashedFile]


def write_package(
    store: Store,
    case: Case,
    *,
    out: Path,
    sources: SourceRoots,
    blurred: bool = True,
    open_to: Callable[[str], bool] = lambda name: True,
    most_clips: int = MAX_CLIPS,
    card_of: Callable[[EmbeddingSpace], Card | ReidCard | None] = find_card,
) -> Manifest:
    """Write a case as one archive.

    Args:
        store: where it is.
        case: all of it; what of it is written is for `open_to` to say.
        out: file to write; it is there whole or not at all.
        sources: where videos and images of rows may be read; frames and clips come from there.
        blurred: make faces unrecognisable; then clips are left out, and of frames only the person is shown.
        open_to: whether a gallery of that name is open to the writer; nothing of others is in the package.
        most_clips: how many clips are cut at most.
        card_of: finds the card of a gallery's model.

    Returns:
        What the package says of itself.

    Raises:
        UnveilError: the store does not answer, or the file cannot be written.
    """
    case, hidden = case.part(open_to)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        images = CaseImages(folder, sources, blurred=blurred, most_clips=most_clips)
        if hidden:
            images.left_out.append(f"{hidden} searches and bookmarks in galleries that are not open to the writer")
        told = _case_words(store, case, images=images)
        _write_models(store, case, folder=folder, images=images, card_of=card_of)
        entries = _write_audit(store, case, folder=folder, images=images, open_to=open_to)
        left_out = tuple(images.left_out)
        faces: Literal["blurred", "as recorded"] = "blurred" if blurred else "as recorded"
        told |= {"faces": faces, "left_out": list(left_out), "audit_entries": entries}
        _write_json(folder / "case.json", told)
        (folder / "report.html").write_text(_report(told), encoding="utf-8")
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        hashed = {
            name: HashedFile(bytes=path.stat().st_size, sha256=sha256(path)) for name, path in sorted(files.items())
        }
        manifest = Manifest(
            unveil=__version__, case=case.name, number=case.id, changed=case.changed, faces=faces, left_out=left_out,
            files=hashed,
        )  # fmt: skip
        _write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
        (folder / SEAL).write_text(f"{sha256(folder / MANIFEST)}  {MANIFEST}\n", encoding="ascii")
        write_archive(out, files | {MANIFEST: folder / MANIFEST, SEAL: folder / SEAL})
    return manifest


def is_of_case(entry: dict[str, Any], case: Case) -> bool:
    """Return whether an entry of the audit log is about a case: it names it, or is one of its searches or feedback."""
    if (entry.get("details") or {}).get(KEY) == case.id:
        return True
    asked = {(gallery, query.hash) for query in case.queries for gallery in query.galleries}
    return (entry.get("gallery"), entry.get("query")) in asked


def _case_words(store: Store, case: Case, *, images: CaseImages) -> dict[str, Any]:
    """Return all of a case as JSON, with names of the files that were written."""
    queries = []
    for query in case.queries:
        shown = []
        for n, image in enumerate(store.cases.images(case.id, query.id)):
            name = images.write_image(f"searches/{query.id}-{n}.png", image.data)
            shown.append({"file": name, "negative": image.negative})
        queries.append({**asdict(query), "images": shown, "time_iso": iso(query.time)})
    bookmarks = []
    for mark in case.bookmarks:
        found = store.items(mark.gallery, [mark.item])
        if not found:  # removed since the case was read
            images.left_out.append(f"row {mark.item} of {mark.gallery} was removed")
            continue
        row = found[0]
        bookmarks.append(
            {
                "gallery": mark.gallery, "row": columns(row), "seen": time_text(row.time), "time_iso": iso(row.time),
                "end_iso": iso(row.end), "note": mark.note, "who": mark.who, "added_iso": iso(mark.time),
                "files": images.write_row(store, mark.gallery, item=row),
            }
        )  # fmt: skip
    return {
        "case": case.name, "number": case.id, "notes": case.notes, "creator": case.creator,
        "created_iso": iso(case.created), "changed_iso": iso(case.changed), "members": list(case.members),
        "searches": queries, "bookmarks": bookmarks,
        "removals": [{**asdict(removal), "words": str(removal)} for removal in case.removals],
    }  # fmt: skip


def _write_models(
    store: Store,
    case: Case,
    *,
    folder: Path,
    images: CaseImages,
    card_of: Callable[[EmbeddingSpace], Card | ReidCard | None],
) -> None:
    spaces = {info.space.fingerprint: info.space for info in store.galleries() if info.name in case.galleries}
    for fingerprint, space in sorted(spaces.items()):
        card = card_of(space)
        if card is None:
            images.left_out.append(f"the card of model {fingerprint}: the model is not on this machine")
        (folder / "models").mkdir(exist_ok=True)
        _write_json(folder / "models" / f"{fingerprint}.json", model_words(space, card))


def _write_audit(store: Store, case: Case, *, folder: Path, images: CaseImages, open_to: Callable[[str], bool]) -> int:
    """Write the entries about a case as they are stored, so that their hashes can be checked; return how many."""
    links = [link for link in store.links() if is_of_case(link.entry(), case)]
    shown = [link for link in links if all(map(open_to, _galleries(link.entry())))]
    if len(shown) < len(links):
        hidden = len(links) - len(shown)
        images.left_out.append(f"{hidden} entries of the audit log on galleries that are not open to the writer")
    lines = [
        json.dumps({"number": link.number, "text": link.text, "previous": link.previous, "hash": link.hash})
        for link in shown
    ]
    (folder / "audit.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    return len(lines)


def _galleries(entry: dict[str, Any]) -> list[str]:
    """Return the names of the galleries that an entry of the audit log is about."""
    return [name for name in (entry.get("gallery"), *(entry.get("details") or {}).get("others", ())) if name]


def read_audit(text: str) -> list[Link]:
    """Return the entries of an audit extract.

    Raises:
        ValueError: it is none.
    """
    found = [json.loads(line) for line in text.splitlines()]
    try:
        return [Link(int(e["number"]), str(e["text"]), str(e["previous"]), str(e["hash"])) for e in found]
    except (KeyError, TypeError) as e:
        raise ValueError(str(e)) from None


def _report(told: dict[str, Any]) -> str:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingExtraError("a case package", "report") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8")).render(**told)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
