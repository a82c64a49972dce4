"""What is known of pairs of rows: said by hand, implied by feedback on results, or seen together at one camera.

What people said wins over what was inferred, and what was said of groups by hand over feedback on results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from unveil.gallery.calibrate import feedback_rows
from unveil.gallery.group_records import ByHand
from unveil.gallery.grouping.overlaps import Span, overlapping
from unveil.gallery.records import Item
from unveil.gallery.store.protocol import Store

Pair = tuple[int, int]


class PersonLinks(NamedTuple):
    """What is known of rows 0 .. N-1.

    Args:
        units: ``(N,)`` int64 codes 0 .. U-1: rows of one unit must be one person.
        cannot: ``(M, 2)`` int64 pairs of units that are two people.
        contradictions: feedback that contradicts other feedback, or what was said by hand, and was left out.
    """

    units: np.ndarray
    cannot: np.ndarray
    contradictions: int = 0


def links_of(store: Store, name: str, *, items: Sequence[Item], by_hand: ByHand) -> PersonLinks:
    """Return what is known of rows of a gallery.

    Args:
        store: where the gallery is.
        name: of the gallery.
        items: the rows; row n of the answer is item n.
        by_hand: what was said of groups.
    """
    place = {item.id: n for n, item in enumerate(items) if item.id is not None}
    of_key = {item.key: n for n, item in enumerate(items)}
    feedback = feedback_rows(store, name)
    crops = sorted({row for a, b, *_ in feedback for row in (a, b)} - place.keys())
    # What is said of a crop is said of its tracklet.
    for crop in store.items(name, crops):
        if crop.id is not None and crop.tracklet in of_key:
            place[crop.id] = of_key[crop.tracklet]
    said = [(place[a], place[b], same) for a, b, same, _ in feedback if a in place and b in place]
    members: dict[int, list[int]] = {}
    for item, label in by_hand.labels.items():
        if item in place:
            members.setdefault(label, []).append(place[item])
    apart = [(members[a][0], members[b][0]) for a, b in by_hand.apart if a in members and b in members]
    chains = [(rows[0], other) for rows in members.values() for other in rows[1:]]
    return joined(len(items), chains, apart_by_hand=apart, feedback=said, together=overlapping(_spans(items)).tolist())


def joined(
    count: int,
    same_by_hand: Iterable[Pair],
    *,
    apart_by_hand: Iterable[Pair],
    feedback: Sequence[tuple[int, int, bool]],
    together: Iterable[Sequence[int]] = (),
) -> PersonLinks:
    """Return links of rows 0 .. ``count`` - 1 that contradict nothing.

    Feedback that two rows are one person is left out where it would join rows of which somebody said that they are
    two; one that they are two, where they were joined by hand.

    Args:
        count: N, rows.
        same_by_hand: pairs that were joined by hand.
        apart_by_hand: pairs that were split by hand.
        feedback: pairs of rows, and whether feedback on results says that they are one person.
        together: pairs that were seen together.
    """
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for a, b in same_by_hand:
        parent[root(b)] = root(a)
    two = [(a, b) for a, b in apart_by_hand if root(a) != root(b)]
    rejected = [(a, b) for a, b, same in feedback if not same and a != b]
    contradictions = sum(root(a) == root(b) for a, b in rejected)
    two += [(a, b) for a, b in rejected if root(a) != root(b)]
    apart: dict[int, set[int]] = {}
    for a, b in two:
        apart.setdefault(root(a), set()).add(root(b))
        apart.setdefault(root(b), set()).add(root(a))
    for a, b, same in feedback:
        left, right = root(a), root(b)
        if not same or left == right:
            continue
        if right in apart.get(left, ()):
            contradictions += 1
            continue
        parent[right] = left
        for other in apart.pop(right, set()):
            apart[other].discard(right)
            apart[other].add(left)
            apart.setdefault(left, set()).add(other)
    roots, units = np.unique([root(row) for row in range(count)], return_inverse=True)
    unit_of = {int(r): n for n, r in enumerate(roots)}
    pairs = {(unit_of[root(a)], unit_of[root(b)]) for a, b in (*two, *together)}
    pairs = {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}
    cannot = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return PersonLinks(units.astype(np.int64).reshape(-1), cannot, contradictions)


def _spans(items: Sequence[Item]) -> list[Span]:
    """Return where and when tracklets were; two crops by themselves may be two boxes of one person on one frame.

    Times that are no dates count from the start of a recording: only those of one recording can coincide.
    """
    spans = []
    for n, item in enumerate(items):
        if item.kind == "tracklet" and item.camera is not None and item.time is not None:
            spans.append(Span((item.camera, item.clock), item.time, item.time if item.end is None else item.end, n))
    return spans
