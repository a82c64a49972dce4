"""Labelled pairs to calibrate on: person labels in a gallery, what people said about results, or a list of pairs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from unveil.errors import DataError
from unveil.evaluation.distances import distance_blocks
from unveil.evaluation.search import nearest
from unveil.gallery.records import Filter, Mode
from unveil.gallery.scoring import calibration, fitting
from unveil.gallery.scoring.calibration import Calibration
from unveil.gallery.scoring.fitting import Pairs
from unveil.gallery.scoring.ranking import in_mode
from unveil.gallery.store.protocol import Store, all_items
from unveil.progress import track
from unveil.records import Embedding

Source = Literal["labels", "feedback"]
ROWS_OF_SEARCH = 30  # rows of a search that count: what far rows look like says little about results
MAX_SEARCHES = 500
MAX_LABELLED = 20_000
MAX_PAIRS = 100_000
_YES, _NO = ("1", "true", "yes", "same"), ("0", "false", "no", "different")


def calibrate_gallery(
    store: Store,
    name: str,
    *,
    source: Source | Path = "labels",
    modes: Sequence[Mode] = ("same", "changed"),
    method: fitting.Method = "auto",
    false_alarms: float = fitting.FALSE_ALARMS,
    seed: int = 0,
) -> dict[Mode, Calibration]:
    """Fit a calibration for a gallery, one for each mode, and keep it there.

    Args:
        store: where the gallery is.
        name: of the gallery.
        source: "labels" takes the persons that its sources named; "feedback" what was confirmed and rejected; a file
            lists pairs: a CSV with columns ``a``, ``b`` (numbers or sources of rows), ``same`` (1 or 0) and, where a
            pair counts for one mode only, ``mode``.
        modes: "same", "changed" or both. Labels and feedback do not know about clothes: each mode is fitted with its
            own distances on the same pairs.
        method: see `fitting.calibrate`.
        false_alarms: rate that the threshold for "no match" is chosen for.
        seed: of what is drawn.

    Raises:
        DataError: too few pairs, the file names rows that are not there, or the gallery was switched to another model
            meanwhile.
    """
    found: dict[Mode, Calibration] = {}
    generation = store.info(name).generation
    for mode in modes:
        if isinstance(source, Path):
            pairs = listed_pairs(store, name, path=source, mode=mode)
        elif source == "labels":
            pairs = labelled_pairs(store, name, mode=mode, seed=seed)
        else:
            pairs = feedback_pairs(store, name, mode=mode)
        found[mode] = fitting.calibrate(pairs, method, false_alarms=false_alarms, seed=seed)
    for mode, fitted in found.items():
        info = store.info(name)
        if info.generation != generation:
            raise DataError(f"gallery {name!r} was switched to another model while it was calibrated: calibrate again")
        store.set_calibration(name, calibration.stored(info, mode, calibration=fitted))
    return found


def labelled_pairs(store: Store, name: str, *, mode: Mode = "same", seed: int = 0) -> Pairs:
    """Return the pairs that searches with labelled rows would show, and what they would find without the person.

    Each drawn row searches among all others. As in the protocols of the field, rows of its person from its own camera
    or its own tracklet are left out, since they are too easy to find.

    Raises:
        DataError: fewer than two persons are labelled.
    """
    rows = _labelled(store, name)
    if len({row.person for row in rows}) < 2:
        raise DataError(
            f"gallery {name!r} has no rows of two labelled persons: index a manifest with a column 'person', "
            "list pairs, or give feedback on results"
        )
    ids, embedding = store.embeddings(name, [row.id for row in rows])
    known = {row.id: row for row in rows}
    there = [known[int(i)] for i in ids]
    person = np.array([row.person for row in there])
    camera = np.array([row.camera or "" for row in there])
    tracklet = np.array([row.tracklet or "" for row in there])
    rng = np.random.default_rng(seed)
    asked = np.sort(rng.permutation(len(ids))[:MAX_SEARCHES])
    gallery = in_mode(embedding, mode)
    distances, same, groups, impostors = [], [], [], []
    blocks = distance_blocks(gallery.select(asked), gallery)
    for rows_of_block, block in track(blocks, "searching with labelled rows"):
        for line, row in zip(block, asked[rows_of_block], strict=True):
            own = person == person[row]
            junk = own & (
                ((camera == camera[row]) & (camera[row] != "")) | ((tracklet == tracklet[row]) & (tracklet[row] != ""))
            )
            junk[row] = True
            left = np.flatnonzero(~junk)
            if not len(left):
                continue
            found = left[nearest(line[left][None], ROWS_OF_SEARCH)[0]]
            distances.append(line[found])
            same.append(own[found])
            groups.append(np.repeat(person[row], len(found)))
            if (~own).any():
                impostors.append(line[~own].min())
    if not distances:
        raise DataError(f"gallery {name!r}: no labelled row has another to be compared with")
    return Pairs(
        np.concatenate(distances), np.concatenate(same), np.concatenate(groups), np.array(impostors),
        f"{len(impostors)} searches with rows of {len(set(person.tolist()))} labelled persons",
    )  # fmt: skip


def feedback_pairs(store: Store, name: str, *, mode: Mode = "same") -> Pairs:
    """Return the pairs that feedback implies: what was confirmed for one query is one person, what was rejected is not.

    A row with feedback pairs with its query, at the distance that it had then, and with the query's confirmed
    rows.

    Raises:
        DataError: there is no feedback, or, before distances were kept, no query has a confirmed row and another one.
    """
    pairs, asked = feedback_rows(store, name), store.feedback.distances(name, mode)
    if not pairs and not asked:
        raise DataError(
            f"gallery {name!r}: no feedback to calibrate on: confirm and reject results of searches, on the page or "
            "over HTTP"
        )
    searches = {query for query, *_ in store.feedback.all(name)}
    source = f"feedback on {len(searches)} searches"
    rows = _pairs(store, name, mode=mode, pairs=pairs, source=source)
    return Pairs(
        np.concatenate([[distance for *_, distance in asked], rows.distances]),
        np.concatenate([np.array([same for _, same, _ in asked], bool), rows.same]),
        np.concatenate([np.array([query for query, *_ in asked], str), rows.groups]), None, source,
    )  # fmt: skip


def feedback_rows(store: Store, name: str) -> list[tuple[int, int, bool, str]]:
    """Return the pairs of rows that feedback implies: two rows, whether they show one person, and the search's hash."""
    said: dict[str, dict[int, bool]] = {}
    for query, item, is_same in store.feedback.all(name):
        said.setdefault(query, {})[item] = is_same
    pairs = []
    for query, rows in said.items():
        confirmed = [row for row, is_same in rows.items() if is_same]
        rejected = [row for row, is_same in rows.items() if not is_same]
        pairs += [(a, b, True, query) for a, b in combinations(confirmed, 2)]
        pairs += [(a, b, False, query) for a, b in product(confirmed, rejected)]
    return pairs[:MAX_PAIRS]


def listed_pairs(store: Store, name: str, *, path: Path, mode: Mode = "same") -> Pairs:
    """Return the pairs of a CSV file; see `calibrate_gallery`.

    Raises:
        DataError: the file cannot be read, or a line of it; names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise DataError(f"{path}: cannot be read as CSV: {e}") from None
    if not lines or not {"a", "b", "same"} <= set(lines[0]):
        raise DataError(f"{path}: expected columns a, b and same, and at least one line")
    if len(lines) > MAX_PAIRS:
        raise DataError(f"{path}: at most {MAX_PAIRS:,} pairs, found {len(lines):,}")
    known: dict[str, int] = {}
    pairs = []
    for number, line in enumerate(lines, 2):
        if (line.get("mode") or mode) not in get_args(Mode):
            raise DataError(f"{path}, line {number}: mode must be same or changed, found {line['mode']!r}")
        if (line.get("mode") or mode) != mode:
            continue
        answer = (line["same"] or "").strip().lower()
        if answer not in (*_YES, *_NO):
            raise DataError(f"{path}, line {number}: same must be 1 or 0, found {line['same']!r}")
        sides = []
        for column in ("a", "b"):
            text = (line[column] or "").strip()
            if text not in known:
                known[text] = _row_named(store, name, text=text, where=f"{path}, line {number}")
            sides.append(known[text])
        pairs.append((sides[0], sides[1], answer in _YES, str(sides[0])))
    if not pairs:
        raise DataError(f"{path}: no pair is for mode {mode!r}")
    return _pairs(store, name, mode=mode, pairs=pairs, source=f"{path.name}")


@dataclass(frozen=True, slots=True)
class _Row:
    id: int
    person: str
    camera: str | None
    tracklet: str | None


def _labelled(store: Store, name: str) -> list[_Row]:
    items = all_items(store, name, where=Filter(rows="tracklet"))
    labelled = (_Row(i.id or 0, i.person, i.camera, i.tracklet) for i in items if i.person is not None)
    return list(islice(labelled, MAX_LABELLED))


def _row_named(store: Store, name: str, *, text: str, where: str) -> int:
    found = store.items(name, [int(text)]) if text.isdecimal() and len(text) < 19 else []
    found = found or (store.find(name, Filter(sources=(text,), rows="crop"), limit=2) if text else [])
    if len(found) != 1 or found[0].id is None:
        what = "several rows come" if found else "no row is or comes"
        raise DataError(f"{where}: {what} from {text!r} in gallery {name!r}: give the number of a row")
    return found[0].id


def _pairs(store: Store, name: str, *, mode: Mode, pairs: Sequence[tuple[int, int, bool, str]], source: str) -> Pairs:
    if not pairs:
        return Pairs(np.empty(0), np.empty(0, bool), np.empty(0, str), None, source)
    wanted = sorted({row for a, b, *_ in pairs for row in (a, b)})
    ids, embedding = store.embeddings(name, wanted)
    place = {int(row): n for n, row in enumerate(ids)}
    pairs = [pair for pair in pairs if pair[0] in place and pair[1] in place]
    left, right = (embedding.select(np.array([place[pair[side]] for pair in pairs], int)) for side in (0, 1))  # type: ignore[index]
    # Rows that share no visible part have no distance.
    shared = np.einsum("ne,ne,e->n", left.visibility, right.visibility, np.asarray(left.weights)) > 0
    left, right, pairs = left.select(shared), right.select(shared), [p for p, s in zip(pairs, shared, strict=True) if s]
    return Pairs(
        _row_distances(in_mode(left, mode), in_mode(right, mode)), np.array([pair[2] for pair in pairs], bool),
        np.array([pair[3] for pair in pairs]), None, source,
    )  # fmt: skip


def _row_distances(left: Embedding, right: Embedding) -> np.ndarray:
    """Return the distance of row n to row n, ``(N,)``; each left row is compared with its own right rows at once."""
    out = np.empty(len(left), np.float32)
    keys = [row.tobytes() for row in left.vectors]
    groups: dict[bytes, list[int]] = {}
    for n, key in enumerate(keys):
        groups.setdefault(key, []).append(n)
    for rows in groups.values():
        for _, block in distance_blocks(left.select(rows[:1]), right.select(rows)):
            out[rows] = block[0]
    return out
