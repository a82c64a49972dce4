"""Protocol: which crops take part in an evaluation, and what is measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from unveil.errors import ProtocolError

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Where:
    """A condition on one column of a sample: ``op`` is "in" (any of the values), "<", "<=", ">" or ">=" (a number)."""

    column: str
    op: Literal["in", "<", "<=", ">", ">="]
    value: tuple[str, ...] | float


Relation = Literal["same_camera", "other_camera", "same_clothes", "other_clothes", "same_tracklet"]


@dataclass(frozen=True)
class Protocol:
    """Which crops take part in an evaluation, which are junk for a query, and what is measured.

    Args:
        name: as used in the field, for example "market" or "ltcc_cc".
        junk: a gallery crop **of the query's person** is ignored when it fulfils any of these relations.
        query: conditions on query crops, all of which must hold.
        gallery: conditions on gallery crops, all of which must hold.
        shots: gallery crops drawn per person; ``None`` takes all.
        draws: how many galleries are drawn and averaged; 1 unless ``shots`` is set.
        seed: seed of the draws.
        ranks: the k of CMC-k.
        about: one sentence, with the source.
    """

    name: str
    junk: tuple[Relation, ...] = ("same_camera",)
    query: tuple[Where, ...] = ()
    gallery: tuple[Where, ...] = ()
    shots: int | None = None
    draws: int = 1
    seed: int = 3
    ranks: tuple[int, ...] = (1, 5, 10, 20)
    about: str = ""

    def __post_init__(self) -> None:
        if self.draws < 1 or (self.shots is not None and self.shots < 1) or (self.shots is None and self.draws > 1):
            raise ProtocolError(
                f"protocol {self.name!r}: draws ({self.draws}) and shots ({self.shots}) must be at least 1, "
                "and several draws need shots"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that a dataset must know, sorted."""
        used = {"person"} | {relation.split("_")[1] for relation in self.junk}
        return tuple(sorted(used | {where.column for where in (*self.query, *self.gallery)}))

    @property
    def hash(self) -> str:
        """Hash of everything that can change a figure (8 hex digits); the wording of ``about`` does not count."""
        rules = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "about"}
        text = json.dumps(rules, sort_keys=True, default=dataclasses.asdict)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def __str__(self) -> str:
        return f"{self.name}#{self.hash}"
