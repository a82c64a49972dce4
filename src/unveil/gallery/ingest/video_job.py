"""How far the work on a video is: kept in the store with what was written, so that it can resume after a kill."""

from __future__ import annotations

from typing import Any

from unveil.errors import DataError
from unveil.gallery.ingest.adding import key_of
from unveil.gallery.records import Filter, Item
from unveil.gallery.store.protocol import Store
from unveil.records import Embedding

LABELS = ("camera", "tags")
REMOVING = {"removing": True}  # the state while rows are removed


class OtherChoicesError(DataError):
    """A video was begun with other settings; the message says with which."""


class VideoJob:
    """The state of one video in the store.

    Args:
        store: where galleries are.
        gallery: name of the gallery.
        video: what the video is known by.
        choices: settings that decide what is found; they must be the same when the work resumes.
        live: of a live stream no state is kept: what was missed cannot be read again.
    """

    def __init__(self, store: Store, gallery: str, *, video: str, choices: dict[str, Any], live: bool) -> None:
        self.store, self.gallery, self.video = store, gallery, video
        self.name = f"video {video}"
        self.choices = choices
        self.live = live

    def begin(self) -> dict[str, Any]:
        """Return the state to resume from.

        Raises:
            OtherChoicesError: the work was begun with other choices.
        """
        before = None if self.live else self.store.job_state(self.gallery, self.name)
        if before is None:
            return self.state(0, 0.0, tracklets=0)
        different = [k for k, v in self._kept().items() if before["choices"].get(k) not in (v, self.choices[k])]
        if different:
            was = ", ".join(f"another {k}" if k in LABELS else f"{k}={before['choices'].get(k)}" for k in different)
            now = ", ".join(f"{k}={self.choices[k]}" for k in different)
            raise OtherChoicesError(
                f"this video was added with {was}, now with {now}: use the same, or --again to remove what it gave and "
                "add it anew"
            )
        return dict(before)

    def state(self, frame: int, timestamp: float, *, tracklets: int, complete: bool = False) -> dict[str, Any]:
        """Return a state: next frame, its time in seconds, tracklets so far, and whether all is done."""
        values = {"frame": frame, "time": timestamp, "tracklets": tracklets, "complete": complete}
        return {"choices": self._kept(), **values}

    def _kept(self) -> dict[str, Any]:
        """Return the choices with hashes in the place of labels: a state outlives the rows that had these labels."""
        return {k: key_of(self.name, k, v)[:16] if k in LABELS else v for k, v in self.choices.items()}

    def removing(self) -> bool:
        """Return whether removing what the video gave was begun and not finished."""
        return not self.live and bool(self.store.job_state(self.gallery, self.name) == REMOVING)

    def remove(self, nothing: Embedding) -> int:
        """Remove what the video gave, whatever its path was then, and its state; return how many rows went.

        Args:
            nothing: of no crops.
        """
        # A kill before the rows are gone must leave neither a state that says "complete" nor rows with other choices.
        self.write([], nothing, state=REMOVING)
        gone, after = list[int](), 0
        while places := self.store.crop_places(self.gallery, after=after):
            gone += [place.id for place in places if place.key == self.key_of_crop(place.frame, place.box)]
            after = places[-1].id
        removed = self.store.delete(self.gallery, Filter(ids=tuple(gone)))
        if not self.live:
            self.store.add(self.gallery, [], embedding=nothing, job=self.name, done=None)
        return removed

    def key_of_crop(self, frame: int, box: tuple[int, int, int, int]) -> str:
        """Return the key of a crop's row."""
        return key_of(self.video, frame, box)

    def known(self, keys: list[str]) -> set[str]:
        """Return which of these rows were written before a kill, after the last state."""
        return self.store.known(self.gallery, keys) if keys else set()

    def write(
        self, items: list[Item], embedding: Embedding, *, state: dict[str, Any] | None, fingerprint: str | None = None
    ) -> int:
        """Add rows, and with them the state, in one transaction; return how many rows are new.

        Raises:
            DataError: the gallery was switched to another model than that of the fingerprint.
        """
        saved = state is not None and not self.live
        if not items and not saved:
            return 0
        job = self.name if saved else None
        return self.store.add(
            self.gallery, items, embedding=embedding, job=job, done=state if saved else None, fingerprint=fingerprint
        )
