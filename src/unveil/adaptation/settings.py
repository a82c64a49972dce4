"""How a model is adapted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from unveil.errors import UnveilError

Stage = Literal["statistics", "tracklets", "clusters", "whitening"]
Grouping = Literal["surest", "jaccard"]


@dataclass(frozen=True)
class AdaptSettings:
    """Settings of an adaptation.

    Args:
        stages: "statistics": the batch norms of each camera taken anew; "tracklets": training on the contrast between
            tracklets; "clusters": on pseudo-labels; "whitening": finished vectors are centred by camera and whitened
            within people.
        epochs: rounds of clustering and training.
        lr: learning rate of the first half of the epochs; a tenth of it after.
        persons: clusters in a batch.
        images: crops of each.
        grouping: how pseudo-labels are found. "surest" joins the surest pairs, for people who have few tracklets or
            crops each; "jaccard" is DBSCAN on k-reciprocal distances, for those who have many.
        pairs: of "surest": pairs in the last epoch for each tracklet, or crop without one; earlier epochs have fewer.
        radius: of "jaccard": crops whose Jaccard distance is below are neighbours (DBSCAN's eps), in (0, 1).
        neighbours: of "jaccard": k1 of the k-reciprocal encoding; about as many as a person has crops.
        smallest: of "jaccard": tracklets, or crops without one, that make a cluster (DBSCAN's min_samples); 2 or more.
        temperature: of the contrast with clusters.
        momentum: share of a cluster's old proxy that a crop leaves, in [0, 1).
        teacher: share of the teacher's old weights that a step leaves, in [0, 1).
        crops_per_tracklet: at most so many, evenly spread, since neighbours in a video are near-duplicates.
        prior: crops whose weight the statistics of all cameras have in those of one.
        shrinkage: of the covariances that vectors are whitened by, share of a multiple of the identity, in (0, 1].
        share: of the crops' statistics in those that the model gets, beside the ones that it was trained with.
        apart: nobody is in two of the datasets.
        held_out: share of the tracklets that are not learnt from, to evaluate on, in [0, 0.5]; at least ten, and
            none where fewer than twenty have two crops.
        hold_out_cameras: share of the cameras that are not learnt from, to see what happens on others, in [0, 0.5].
        seed: of sampling, augmentation and which tracklets are held out.
    """

    stages: tuple[Stage, ...] = ("statistics", "tracklets", "clusters", "whitening")
    epochs: int = 8
    lr: float = 3.5e-4
    persons: int = 16
    images: int = 4
    grouping: Grouping = "surest"
    pairs: float = 0.4
    radius: float = 0.55
    neighbours: int = 20
    smallest: int = 2
    temperature: float = 0.05
    momentum: float = 0.2
    teacher: float = 0.99
    crops_per_tracklet: int = 8
    prior: int = 50
    shrinkage: float = 0.7
    share: float = 0.5
    apart: bool = False
    held_out: float = 0.2
    hold_out_cameras: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        known = get_args(Stage)
        if not self.stages or len(set(self.stages)) < len(self.stages) or not set(self.stages) <= set(known):
            raise UnveilError(f"stages: expected some of {', '.join(known)}, each once, got {', '.join(self.stages)}")
        if self.grouping not in get_args(Grouping):
            raise UnveilError(f"grouping: expected {' or '.join(get_args(Grouping))}, got {self.grouping}")
        for name, low, high in (
            ("epochs", 1, 1000), ("lr", 1e-8, 1), ("persons", 2, 1024), ("images", 2, 1024), ("pairs", 0.01, 10),
            ("radius", 0.01, 0.99),
            ("neighbours", 1, 1000), ("smallest", 2, 1000), ("temperature", 1e-3, 10), ("momentum", 0, 0.999),
            ("teacher", 0, 0.9999), ("crops_per_tracklet", 2, 10_000), ("prior", 0, 1_000_000), ("share", 0, 1),
            ("shrinkage", 1e-3, 1),
            ("held_out", 0, 0.5), ("hold_out_cameras", 0, 0.5),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise UnveilError(f"{name}: expected {low} to {high}, got {getattr(self, name)}")

    @property
    def trains(self) -> bool:
        """Whether weights are trained, beside statistics."""
        return bool({"tracklets", "clusters"} & set(self.stages))
