"""Does it help to centre, scale and whiten the vectors of models of others by camera?

    python benchmarks/camera_centring.py DATA MODEL ... [--splits 10] [--out benchmarks/results/camera_centring.csv]

DATA is a folder with the manifest ``viper``. Mean and standard deviation of each camera are measured without labels on
the vectors of VIPeR's training half, as a user would measure them on earlier crops; they are taken from the vectors of
the test half. "Whitened" is centring and then the whitening of `unveil.adaptation.stages.whitening` with its defaults,
from the same crops. The test half's camera 1 then searches in camera 2. Rank-1 and mAP are means over splits, in
percent; the interval is that of their difference over the splits (mean and 1.96 standard errors).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from csv_rows import measured_on, write_rows
from unveil.adaptation.groups.pseudo_labels import Links
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.stages.whitening import take_whitening
from unveil.datasets import load_dataset
from unveil.inference.load import load_embedder
from unveil.models.embed import embed_samples
from unveil.recipe import DataSource
from unveil.records import Embedding


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    dataset = load_dataset(DataSource(name="manifest", root=args.data / "viper"))
    rows = []
    for name in args.models:
        embedding, store = embed_samples(load_embedder(name), dataset.samples, cache=args.cache)
        people = np.array([sample.person for sample in store.samples])
        cameras = np.array([sample.camera for sample in store.samples])
        found = {way: [] for way in ("as they are", "centred", "centred and scaled", "whitened")}
        for split in range(args.splits):
            drawn = np.random.default_rng(split).permutation(np.unique(people))
            train = np.isin(people, drawn[: len(drawn) // 2])
            for way, figures in found.items():
                vectors = changed(unit(embedding), cameras, train, way)
                figures.append(searched(vectors[~train], people[~train], cameras[~train]))
        plain = np.array(found["as they are"])
        for way, figures in found.items():
            gain = np.array(figures) - plain
            error = 1.96 * gain.std(axis=0, ddof=1) / np.sqrt(args.splits)
            rank1, mean_ap = np.mean(figures, axis=0)
            row = {
                "model": Path(name).stem, "vectors": way, "splits": args.splits, "rank1": f"{rank1:.1f}",
                "map": f"{mean_ap:.1f}", "rank1_gain": f"{gain[:, 0].mean():+.1f} ± {error[0]:.1f}",
                "map_gain": f"{gain[:, 1].mean():+.1f} ± {error[1]:.1f}", **measured_on(),
            }  # fmt: skip
            print(row, flush=True)
            rows.append(row)
    if args.out:
        write_rows(args.out, rows)


def unit(embedding: Embedding) -> np.ndarray:
    """Return all vectors of a crop as one of length 1, each weighted as in a distance; every part is visible."""
    vectors = embedding.vectors / np.maximum(np.linalg.norm(embedding.vectors, axis=2, keepdims=True), 1e-12)
    rows = (vectors * np.sqrt(np.array(embedding.weights))[:, None]).reshape(len(vectors), -1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def changed(vectors: np.ndarray, cameras: np.ndarray, measured: np.ndarray, way: str) -> np.ndarray:
    """Return vectors less the mean of their camera, and over its standard deviation if asked for, of length 1."""
    if way == "as they are":
        return vectors
    if way == "whitened":
        return whitened(vectors, cameras, measured)
    out = np.empty_like(vectors)
    for camera in np.unique(cameras):
        own = vectors[measured & (cameras == camera)]
        scale = own.std(axis=0) + 1e-3 if way == "centred and scaled" else 1.0
        rows = cameras == camera
        out[rows] = (vectors[rows] - own.mean(axis=0)) / scale
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def whitened(vectors: np.ndarray, cameras: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Return vectors centred by camera and whitened by the surest pairs of the measured crops, of length 1."""
    some = Embedding(vectors[measured][:, None], np.ones((measured.sum(), 1), np.float32), ("global",))
    settings = AdaptSettings()
    found = take_whitening(
        some, cameras[measured].tolist(), units=np.arange(len(some)), links=Links.none(), pairs=settings.pairs,
        shrinkage=settings.shrinkage, prior=settings.prior,
    )  # fmt: skip
    centres = dataclasses.replace(found.centres, matrix=found.matrix)
    out = np.empty_like(vectors)
    for camera in np.unique(cameras):
        rows = cameras == camera
        out[rows] = centres.apply(vectors[rows][:, None], camera)[:, 0]
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def searched(vectors: np.ndarray, people: np.ndarray, cameras: np.ndarray) -> tuple[float, float]:
    """Return Rank-1 and mAP, in percent, of the first camera's crops searched among the second's; one match each."""
    first, second = (np.flatnonzero(cameras == camera) for camera in np.unique(cameras))
    likeness = vectors[first] @ vectors[second].T
    own = people[first][:, None] == people[second][None]
    ranks = 1 + (likeness > likeness[own][:, None]).sum(axis=1)
    return 100 * float((ranks == 1).mean()), 100 * float((1 / ranks).mean())


if __name__ == "__main__":
    main()
