"""The size and the seed of a world: presets, splits, and the hash that names its content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from unveil.errors import DataError, nearest
from unveil.world.people.body import pack_hash

VERSION = 4  # raised when the same seed would give other pixels
MAX_PEOPLE = 50_000  # beyond this, bodies drawn from the parameters are no longer told apart
MIN_PEOPLE, MIN_CAMERAS = 2, 4
TRAIN_SHARE = 0.6
OCCLUDED_BELOW = 0.75  # visible fraction below which a query counts as occluded
KEPT_ABOVE = 0.22  # visible fraction that a crop must have


@dataclass(frozen=True)
class World:
    """The parameters of a world.

    Args:
        people: identities.
        outfits: of each person.
        visits: cameras that see each outfit.
        frames: crops of a visit.
        cameras: fixed cameras, shared out between training and test.
        seed: everything is drawn from it.
        street: the same people before the same cameras, but each camera has faults of cheap street cameras.
    """

    people: int = 500
    outfits: int = 4
    visits: int = 3
    frames: int = 2
    cameras: int = 24
    seed: int = 0
    street: bool = False

    def __post_init__(self) -> None:
        for name, least in (
            ("people", MIN_PEOPLE),
            ("outfits", 1),
            ("visits", 1),
            ("frames", 1),
            ("cameras", MIN_CAMERAS),
        ):
            value = getattr(self, name)
            if not isinstance(value, int):
                raise DataError(f"world: {name} must be a whole number, got {value!r}")
            if value < least:
                raise DataError(f"world: {name} must be at least {least}, got {value}")
        if self.people > MAX_PEOPLE:
            raise DataError(
                f"world: {self.people} people asked for, but only {MAX_PEOPLE} bodies are distinct; ask for fewer"
            )
        if not isinstance(self.seed, int) or self.seed < 0:
            raise DataError(f"world: seed must be a whole number from 0 on, got {self.seed!r}")

    @property
    def crops(self) -> int:
        """Crops that will be rendered."""
        return self.people * self.outfits * self.visits * self.frames

    @property
    def train_people(self) -> int:
        """People to train on; the others are for the test."""
        return min(self.people - 1, max(1, round(self.people * TRAIN_SHARE)))

    @property
    def train_cameras(self) -> int:
        """Cameras to train on."""
        return min(self.cameras - 2, max(2, round(self.cameras * TRAIN_SHARE)))

    def is_train(self, person: int) -> bool:
        """Return whether a person belongs to the training split."""
        return person < self.train_people

    def is_query(self, visit: int, frame: int) -> bool:
        """Return whether a crop of a test person is a query: the first of each visit, or of each outfit."""
        return frame == 0 if self.frames > 1 else visit == 0

    def cameras_of(self, person: int) -> range:
        """Return the cameras that may see a person: those of their split."""
        return range(self.train_cameras) if self.is_train(person) else range(self.train_cameras, self.cameras)

    @property
    def parameters(self) -> dict[str, int]:
        """What tells this world from others; a parameter that came later is left out where it changes nothing."""
        return {name: value for name, value in asdict(self).items() if name != "street" or value}

    @property
    def hash(self) -> str:
        """Hash of everything that the pixels depend on (10 hex digits)."""
        text = json.dumps([VERSION, pack_hash(), self.parameters], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


PRESETS = {
    "tiny": World(people=24, outfits=3, cameras=16),
    "small": World(people=100, cameras=16),
    "default": World(people=500, cameras=24),
    "large": World(people=3000, visits=4, frames=1, cameras=96),
}


def preset(name: str, people: int | None = None, *, seed: int | None = None, street: bool = False) -> World:
    """Return a preset, with another number of people or seed, or with street cameras.

    Raises:
        DataError: no preset has that name, or a number is out of range.
    """
    if name not in PRESETS:
        raise DataError(f"unknown world {name!r}{nearest(name, PRESETS)}; known: {', '.join(PRESETS)}, or a folder")
    changes = {k: v for k, v in (("people", people), ("seed", seed)) if v is not None}
    return replace(PRESETS[name], street=street, **changes)
