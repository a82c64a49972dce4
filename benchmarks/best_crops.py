"""Which crops of a track are kept: the best of each part of its time, or good ones that are unlike each other.

    python benchmarks/best_crops.py unveil:dual TOWNCENTRE/manifest.csv [--kept 2 4] [--out FILE]

Of each track with enough crops each half in turn is the pool from which some are kept; their mean searches for the
other half among those of all tracks. Also told: how far the vectors of what is kept are apart, and its quality score.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from csv_rows import measured_on, write_rows
from unveil.cli.allocator import keep_freed_memory
from unveil.data.images import read_sample
from unveil.datasets.sources import crops_of
from unveil.gallery.ingest.best_crops import POOR, best_rows, view_of
from unveil.gallery.ingest.quality import image_quality
from unveil.inference.load import load_engine
from unveil.models.embed import embed_samples
from unveil.records import Sample

RESULTS = Path(__file__).parent / "results" / "best_crops.csv"
RULES: dict[str, Callable[[list[float], Sequence[np.ndarray], int], list[int]]] = {
    "best of each part": lambda quality, views, kept: best_rows(quality, kept),
    "nearly as good, least alike": lambda quality, views, kept: best_rows(quality, kept, views=views),
    "good and far apart, whenever": lambda quality, views, kept: farthest(quality, views, kept),
}


def farthest(quality: list[float], views: Sequence[np.ndarray], kept: int) -> list[int]:
    """Return the best candidate and those of the greatest quality times distance to the nearest before."""
    left = [row for row, value in enumerate(quality) if value >= POOR * max(quality)]
    taken = [max(left, key=quality.__getitem__)]
    far = dict.fromkeys(left, np.inf)
    while len(taken) < min(kept, len(left)):
        for row in left:
            far[row] = min(far[row], float(np.abs(views[row] - views[taken[-1]]).mean()))
        taken.append(max((row for row in left if row not in taken), key=lambda row: quality[row] * far[row]))
    return sorted(taken)


def halves_of(lengths: Sequence[int]) -> tuple[list[range], list[range]]:
    """Return the rows of the first and of the second half of each track."""
    ends = np.cumsum(lengths)
    first = [range(end - length, end - length + length // 2) for end, length in zip(ends, lengths, strict=True)]
    return first, [range(half.stop, end) for half, end in zip(first, ends, strict=True)]


def apart(vectors: np.ndarray) -> float:
    """Return the mean cosine distance between some vectors of unit length."""
    return float(1 - (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--kept", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--least", type=int, default=6, help="crops of a half")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    keep_freed_memory()
    tracks: dict[str, list[Sample]] = defaultdict(list)
    for sample in crops_of(args.data).samples:
        tracks[str(sample.person)].append(sample)
    whole = [
        sorted(crops, key=lambda s: float(s.extra.get("frame", s.time or 0)))
        for crops in tracks.values()
        if len(crops) >= 2 * args.least
    ]
    samples = [sample for crops in whole for sample in crops]
    vectors = embed_samples(load_engine(args.model, threads=2), samples)[0].vectors[:, 0]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pixels = [read_sample(sample) for sample in samples]
    quality, views = [image_quality(image) for image in pixels], [view_of(image) for image in pixels]
    halves, rows = halves_of([len(crops) for crops in whole]), []
    for kept in args.kept:
        for name, choose in RULES.items():
            ranks, spread, value = [], [], []
            for pools, rests in (halves, halves[::-1]):
                picked = [
                    [pool[i] for i in choose([quality[j] for j in pool], [views[j] for j in pool], kept)]
                    for pool in pools
                ]
                others = np.stack([vectors[rest].mean(axis=0) for rest in rests])
                likeness = np.stack([vectors[rows].mean(axis=0) for rows in picked]) @ others.T
                ranks.append(1 + (likeness > np.diagonal(likeness)[:, None]).sum(axis=1))
                value += [np.mean([quality[i] for i in rows]) for rows in picked]
                spread += [apart(vectors[rows]) for rows in picked if len(rows) > 1]
            rank = np.concatenate(ranks)
            rows.append(
                {
                    "rule": name, "kept": kept, "tracks": len(whole), "rank1": f"{100 * (rank == 1).mean():.2f}",
                    "mean_reciprocal_rank": f"{100 * (1 / rank).mean():.2f}", "apart": f"{np.mean(spread):.4f}",
                    "quality": f"{np.mean(value):.3f}", "model": args.model, **measured_on(),
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    write_rows(args.out, rows)


if __name__ == "__main__":
    main()
