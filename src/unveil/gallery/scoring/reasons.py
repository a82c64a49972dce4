"""Why a row was found, in words: which parts are alike, which differ, which are occluded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.gallery.records import Mode
from unveil.gallery.scoring.ranking import mode_counts

# Of the candidates that were compared part by part: the nearest share "matches", the farther half "differs".
MATCHES = 0.1
DIFFERS = 0.5
MIN_SAMPLES = 20
_PAIRS = ("arm", "leg", "shoe")


def reasons(names: Sequence[str], parts: np.ndarray, *, query_visibility: np.ndarray, rows: Sequence[int]) -> list[str]:
    """Return a sentence for some of the rows.

    "Matches" means: nearer in this part than nine of ten candidates; "differs": farther than half of them. So a reason
    tells how a row stands out among what was found, not how sure it is.

    Args:
        names: names of the E vectors.
        parts: ``(K, E)`` distances of the candidates, NaN where occluded; see `part_means`.
        query_visibility: ``(Q, E)`` of the query's crops.
        rows: the rows to write about.
    """
    if len(names) == 1:
        return [_whole(parts[:, 0], row) for row in rows]
    shown = query_visibility.max(axis=0, initial=0) > 0
    near, far = np.full(len(names), np.nan), np.full(len(names), np.nan)
    for e in range(len(names)):
        seen = parts[~np.isnan(parts[:, e]), e]
        if len(seen) >= MIN_SAMPLES:
            near[e], far[e] = np.quantile(seen, (MATCHES, DIFFERS))
    return [_sentence(names, parts[row], shown=shown, near=near, far=far) for row in rows]


def mode_note(names: Sequence[str], mode: Mode) -> str:
    """Return what a mode does with this model, in a sentence."""
    if mode == "same":
        return "All parts count with the weights of the model: best when the clothes are the same."
    if mode_counts(names):
        return "The clothes may have changed: parts that clothes cover count less."
    return (
        "The clothes may have changed, but this model compares people without parts that could be told apart: the "
        "order is that of the other mode. A model trained across clothes, or one with parts, serves better."
    )


def _whole(distances: np.ndarray, row: int) -> str:
    if np.isnan(distances[row]):
        return "nothing to compare"
    seen = distances[~np.isnan(distances)]
    if len(seen) < MIN_SAMPLES:
        return "compared as a whole"
    nearer = 100 * float((seen > distances[row]).mean())
    return f"compared as a whole: nearer than {nearer:.0f} % of the {len(seen)} candidates"


def _sentence(names: Sequence[str], row: np.ndarray, *, shown: np.ndarray, near: np.ndarray, far: np.ndarray) -> str:
    occluded = np.isnan(row)
    unranked = np.isnan(near)
    groups = {
        ("matches", "match"): ~occluded & ~unranked & (row <= near),
        ("differs", "differ"): ~occluded & ~unranked & (row > far),
        ("occluded here", "occluded here"): occluded & shown,
        ("occluded in the query", "occluded in the query"): ~shown,
    }
    said = []
    for (one, several), which in groups.items():
        words = _words([name for name, w in zip(names, which, strict=True) if w])
        if words:
            plural = len(words) > 1 or words[0].endswith("s")
            said.append(f"{_listed(words)} {several if plural else one}")
    if not groups[("matches", "match")].any() and not occluded.all():
        nearest = int(np.nanargmin(np.where(occluded, np.nan, row)))
        what = "no part matches" if not unranked.all() else "few candidates to compare with"
        differs = groups[("differs", "differ")][nearest]
        said.insert(0, what if differs else f"{what}, nearest in the {_word(names[nearest])}")
    return "; ".join(said) or "nothing to compare"


def _words(names: Sequence[str]) -> list[str]:
    """Return names as words, left and right of one thing together: left_leg and right_leg are "legs"."""
    words = [_word(name) for name in names]
    for thing in _PAIRS:
        both = [f"left {thing}", f"right {thing}"]
        if all(side in words for side in both):
            words[words.index(both[0])] = f"{thing}s"
            words.remove(both[1])
    return words


def _word(name: str) -> str:
    plain = {"global": "whole image", "foreground": "whole figure", "final": "whole image"}
    if name.startswith("stripe") and name[6:].isdecimal():
        return f"stripe {name[6:]} from the top"
    return plain.get(name, name.replace("_", " ").replace("-", " "))


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
