"""The memory of proxies: one vector for each cluster, and one for each camera that saw it; moved by the crops seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unveil.losses.proxy_contrast import camera_proxy_contrast, cluster_contrast
from unveil.records import Embedding


@dataclass
class Proxies:
    """Proxies of clusters for each of the E named vectors.

    Args:
        clusters: ``(C, E, D)`` of length 1.
        cameras: ``(P, E, D)`` of length 1, one for each pair of cluster and camera.
        owners: ``(P,)`` cluster of each of them.
        of_crop: ``(N,)`` row of ``cameras`` of each crop; -1 for outliers.
        undecided: ``(C, C)`` bool: pairs of clusters that are not contrasted with each other.
    """

    clusters: Tensor
    cameras: Tensor
    owners: Tensor
    of_crop: Tensor
    undecided: Tensor

    @classmethod
    def of(
        cls,
        embedding: Embedding,
        labels: np.ndarray,
        *,
        cameras: np.ndarray,
        undecided: np.ndarray,
        device: torch.device | str = "cpu",
    ) -> Proxies:
        """Return the means of the visible vectors of each cluster, and of each cluster in each camera.

        Args:
            embedding: of N crops, as numpy arrays.
            labels: ``(N,)`` clusters 0 .. C-1, -1 for outliers.
            cameras: ``(N,)`` codes, -1 for unknown, which counts as one camera.
            undecided: ``(M, 2)`` pairs of clusters that may be one person.
            device: where training runs.
        """
        apart = np.zeros((int(labels.max()) + 1,) * 2, dtype=bool)
        apart[undecided[:, 0], undecided[:, 1]] = apart[undecided[:, 1], undecided[:, 0]] = True
        np.fill_diagonal(apart, val=False)
        inside = labels >= 0
        pairs, place = np.unique(np.stack([labels[inside], cameras[inside]], axis=1), axis=0, return_inverse=True)
        of_crop = np.full(len(labels), -1)
        of_crop[inside] = place.reshape(-1)
        return cls(
            _means(embedding, labels).to(device),
            _means(embedding, of_crop).to(device),
            torch.from_numpy(pairs[:, 0]).to(device),
            torch.from_numpy(of_crop).to(device),
            torch.from_numpy(apart).to(device),
        )

    def loss(self, embedding: Embedding, labels: Tensor, *, temperature: float, cameras: bool) -> Tensor:
        """Return the contrast of a batch with the proxies, the vectors weighted as they are in a distance.

        A vector that is hidden on a crop neither draws nor is drawn.

        Args:
            embedding: ``(B, E, D)`` tensors with gradient.
            labels: ``(B,)`` clusters.
            temperature: of the contrast.
            cameras: whether proxies of cameras count beside those of clusters.
        """
        total = embedding.vectors.new_zeros(())
        weights = np.array(embedding.weights) / sum(embedding.weights)
        for e, weight in enumerate(weights):
            seen = torch.nonzero(embedding.visibility[:, e] > 0).flatten()
            if not weight or not len(seen):
                continue
            vectors, own = F.normalize(embedding.vectors[seen, e].float(), dim=1), labels[seen]
            term = cluster_contrast(
                vectors, own, centroids=self.clusters[:, e], temperature=temperature, undecided=self.undecided
            )
            if cameras:
                term = term + 0.5 * camera_proxy_contrast(
                    vectors,
                    own,
                    proxies=self.cameras[:, e],
                    owners=self.owners,
                    temperature=temperature,
                    undecided=self.undecided,
                )
            total = total + float(weight) * term
        return total

    @torch.no_grad()
    def move(self, embedding: Embedding, labels: Tensor, *, crops: Tensor, momentum: float) -> None:
        """Move the proxies of a batch's crops towards its vectors (Cluster Contrast, eq. 4).

        Args:
            embedding: ``(B, E, D)`` tensors.
            labels: ``(B,)`` clusters.
            crops: ``(B,)`` numbers of the crops.
            momentum: share of the old proxy, in [0, 1).
        """
        vectors = F.normalize(embedding.vectors.detach().float(), dim=2)
        for memory, rows in ((self.clusters, labels), (self.cameras, self.of_crop[crops])):
            for i, row in enumerate(rows.tolist()):
                shown = embedding.visibility[i] > 0
                moved = momentum * memory[row, shown] + (1 - momentum) * vectors[i, shown]
                memory[row, shown] = F.normalize(moved, dim=1)


def _means(embedding: Embedding, groups: np.ndarray) -> Tensor:
    inside = groups >= 0
    sums = np.zeros((int(groups.max()) + 1, *embedding.vectors.shape[1:]), np.float32)
    np.add.at(sums, groups[inside], (embedding.vectors * embedding.visibility[:, :, None])[inside])
    return F.normalize(torch.from_numpy(sums), dim=2)
