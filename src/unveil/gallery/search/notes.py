"""What is said of a search beside its results: notes for the user, and the protocol for reports."""

from __future__ import annotations

from dataclasses import fields

from unveil.gallery.records import Filter, GalleryInfo
from unveil.gallery.scoring import calibration
from unveil.gallery.scoring.reasons import mode_note
from unveil.gallery.search import reranking
from unveil.gallery.search.records import Query

MAX_NAMED = 20  # cameras that a note names


def notes_of(
    query: Query, info: GalleryInfo, *, candidates: int, model: calibration.Calibration | None, match: bool | None
) -> tuple[str, ...]:
    """Return the sentences that a user must see beside the results."""
    unknown = [camera for camera in query.where.cameras if camera not in info.cameras]
    known = ", ".join(info.cameras[:MAX_NAMED]) + (" and more" if len(info.cameras) > MAX_NAMED else "")
    notes = [f"No camera {', '.join(map(repr, unknown))} in this gallery; it has {known or 'none'}."] if unknown else []
    if not candidates:
        total = info.crops + info.tracklets
        return (*notes, f"No row passes the filters; without them the gallery has {total}.")
    notes.append(mode_note(info.space.names, query.mode))
    if query.rerank:
        notes.append("Re-ranked: rows with the same neighbours as the query come first; distances are those before it.")
    if model is None and calibration.out_of_date(info):
        notes.append(
            "The calibration is out of date: it was fitted on the distances of another model than the gallery's. The "
            "distance orders the results, it is no probability. `unveil gallery calibrate` fits it anew."
        )
    elif model is None:
        notes.append(
            "Not calibrated: the distance orders the results, it is no probability, and there is no answer to whether "
            "the person is here. `unveil gallery calibrate` changes that."
        )
    elif not match:
        notes.append(f"No match: nothing is near enough. {model.about()}")
    else:
        notes.append(model.about())
    return tuple(notes)


def protocol_of(query: Query, info: GalleryInfo, *, where: Filter, first_stage: str) -> dict[str, str]:
    """Return how it was searched, in words, for reports."""
    shown = {f.name: getattr(where, f.name) for f in fields(where)}
    filters = [f"{name} {_shown(value)}" for name, value in shown.items() if value not in (None, (), False)]
    feedback = f", {len(query.confirmed)} confirmed and {len(query.rejected)} rejected rows"
    return {
        "gallery": f"{info.name}, revision {info.revision}, {info.crops} crops and {info.tracklets} tracklets",
        "model": str(info.space.identity),
        "query": f"{query.hash}: {len(query.positives)} crops, {len(query.negatives or ())} of others{feedback}",
        "filters": "; ".join(filters) or "none",
        "clothes": {"same": "the same", "changed": "may have changed"}[query.mode],
        "distance": f"{info.space.metric}, mean over {len(info.space.names)} vectors weighted by visibility",
        "stages": f"first stage by {first_stage}, {max(query.rescore, query.top)} nearest re-scored, {query.top} shown",
        "order": f"k-reciprocal re-ranking, {reranking.SETTINGS}" if query.rerank else "by distance",
    }


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value[:10])) + (f" and {len(value) - 10} more" if len(value) > 10 else "")
    return str(value)
