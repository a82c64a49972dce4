"""The images of a case package: crops, whole frames and clips, as recorded or with faces made unrecognisable."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from unveil.data.images import read_image
from unveil.errors import ImageError
from unveil.gallery.ingest.adding import shrunk
from unveil.gallery.output.blur import blur_faces, face_parser
from unveil.gallery.records import Item
from unveil.gallery.sources.roots import SourceMissingError, SourceRoots
from unveil.gallery.sources.source_frame import SourceFrame, clip_around, find_source_frame
from unveil.gallery.store.protocol import Store
from unveil.video.records import Image

SIDE = 1920  # longest side of a frame, pixels
BLOCKS = 24  # across a frame of which only the person is to be seen
QUALITY = 90


class CaseImages:
    """Writes images of rows to a folder, and keeps in words what could not be had.

    Args:
        folder: below which they are written.
        sources: where videos and images of rows may be read.
        blurred: whether faces are made unrecognisable; then clips are left out.
        most_clips: how many clips are cut at most.
    """

    def __init__(self, folder: Path, sources: SourceRoots, *, blurred: bool, most_clips: int) -> None:
        self._folder = folder
        self._sources = sources
        self._parser = face_parser() if blurred else None
        self._blurred = blurred
        self._clips = most_clips
        self.left_out: list[str] = []

    def write_image(self, name: str, data: bytes) -> str | None:
        """Write a crop as it is, or blurred as a JPEG; return its name, ``None`` where it cannot be read."""
        if not self._blurred:
            return self._write(name, data)
        try:
            image = read_image(data, name=name)
        except ImageError as e:
            self.left_out.append(str(e))
            return None
        return self._write(f"{name.rpartition('.')[0]}.jpg", _jpeg(blur_faces([image], self._parser)[0]))

    def write_row(self, store: Store, gallery: str, *, item: Item) -> dict[str, str]:
        """Write what there is of a row; return "crop", "frame" and "clip" -> name of the file."""
        label = f"{gallery}-{item.id}"
        found = {"crop": self.write_image(f"crops/{label}.jpg", item.thumbnail)}
        try:
            source_frame = find_source_frame(item, self._sources)
        except SourceMissingError as e:
            self.left_out.append(f"row {item.id} of {gallery}: no frame and no clip: {e}")
        else:
            found["frame"] = self._write(f"frames/{label}.jpg", _jpeg(self._shown(source_frame)))
            found["clip"] = self._clip(store, gallery, item=item, source_frame=source_frame)
        return {what: name for what, name in found.items() if name is not None}

    def _clip(self, store: Store, gallery: str, *, item: Item, source_frame: SourceFrame) -> str | None:
        if source_frame.seconds is None:
            return None
        if self._blurred or not self._clips:
            why = "clips show faces" if self._blurred else "there are more than are cut"
            self.left_out.append(f"row {item.id} of {gallery}: no clip: {why}")
            return None
        tracklet = item.key if item.kind == "tracklet" else item.tracklet
        try:
            clip = clip_around(item, source_frame, crops=[] if tracklet is None else store.crops_of(gallery, tracklet))
        except SourceMissingError as e:
            self.left_out.append(f"row {item.id} of {gallery}: no clip: {e}")
            return None
        self._clips -= 1
        return self._write(f"clips/{gallery}-{item.id}.{clip.media_type.rpartition('/')[2]}", clip.data)

    def _shown(self, source_frame: SourceFrame) -> Image:
        """Return a frame with a box around the person, or with nothing else recognisable."""
        image = source_frame.image
        shown: Image = np.ascontiguousarray(image).copy()
        x, y, w, h = source_frame.box or (0, 0, image.shape[1], image.shape[0])
        if self._blurred:
            height, width = image.shape[:2]
            across = min(BLOCKS, width)
            blocks = (across, max(1, round(across * height / width)))
            small = cv2.resize(image, blocks, interpolation=cv2.INTER_AREA)
            shown[:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
            shown[y : y + h, x : x + w] = blur_faces([image[y : y + h, x : x + w]], self._parser)[0]
        if source_frame.box:
            cv2.rectangle(shown, (x, y), (x + w - 1, y + h - 1), (255, 196, 0), max(1, round(shown.shape[1] / 640)))
        return shrunk(shown, SIDE)

    def _write(self, name: str, data: bytes) -> str:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name


def _jpeg(image: Image) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
