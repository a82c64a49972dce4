"""Time and memory of the evaluator at the size of Market-1501, against a naive full sort of some of the queries.

    python benchmarks/evaluator.py [--rounds 5] [--rerank] [--out benchmarks/results/evaluator.csv]

Features are drawn at random around one centre a person. Memory is the peak of the process during the evaluation, less
what it held with the features in place.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unveil.evaluation.distances import distance_matrix
from unveil.evaluation.metrics import average_precision, hits, inverse_negative_penalty
from unveil.evaluation.protocols import Labels
from unveil.evaluation.ranking import Ranks, rank_blocks, rank_positives
from unveil.evaluation.rerank import RerankSettings, rerank_blocks, rerank_memory
from unveil.records import Embedding

QUERIES, GALLERY, NUMBERS, PERSONS, CAMERAS = 3_368, 15_913, 2_048, 750, 6
NAIVE_QUERIES = 100


def features(seed: int = 0) -> tuple[Embedding, Embedding, Labels]:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((PERSONS, NUMBERS), dtype=np.float32)
    sides, codes = [], []
    for count, first in ((QUERIES, 0), (GALLERY, QUERIES)):
        person = rng.integers(0, PERSONS, count)
        vectors = rng.standard_normal((count, NUMBERS), dtype=np.float32)
        vectors *= 4.5
        for start in range(0, count, 1024):  # so that drawing leaves no high-water mark above the features
            vectors[start : start + 1024] += centres[person[start : start + 1024]]
        sides.append(Embedding(vectors[:, None], np.ones((count, 1), np.float32)))
        codes.append(
            {"crop": np.arange(first, first + count), "person": person, "camera": rng.integers(0, CAMERAS, count)}
        )
    return sides[0], sides[1], Labels(codes[0], codes[1], ("same_camera",))


def naive(query: Embedding, gallery: Embedding, labels: Labels) -> list[np.ndarray]:
    """Sort the whole gallery for each query, as the field's Python evaluators do; return the positives' ranks."""
    found = []
    distances = distance_matrix(query, gallery)
    for i in range(len(query)):
        same = labels.gallery["person"] == labels.query["person"][i]
        order = np.lexsort((same, distances[i]))  # at equal distance the positives last
        same = same[order]
        junk = same & (labels.gallery["camera"][order] == labels.query["camera"][i])
        found.append(np.flatnonzero(same[~junk]) + 1)
    return found


def resident() -> int:
    """Bytes of memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure(work: Callable[[], Ranks]) -> tuple[Ranks, float, int]:
    """Run once; return the ranks, seconds, and the peak of memory beyond the start (sampled each millisecond)."""
    before, peak, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.001):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    ranks = work()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return ranks, seconds, max(peak[0] - before, 0)


def hits1(ranks: Ranks) -> np.ndarray:
    return hits(ranks, 1)


def machine() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{os.cpu_count()} cores {model}; numpy {np.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="best and median of so many are reported")
    parser.add_argument("--rerank", action="store_true", help="also measure k-reciprocal re-ranking, once")
    parser.add_argument("--out", type=Path, help="CSV to write")
    args = parser.parse_args()

    query, gallery, labels = features()
    settings = RerankSettings()
    rows: list[dict[str, object]] = []

    def add(what: str, times: list[float], memory: int | None, ranks: Ranks | None) -> None:
        row: dict[str, object] = {
            "what": what,
            "queries": QUERIES,
            "gallery": GALLERY,
            "numbers": NUMBERS,
            "rounds": len(times),
        }
        row |= {"best_seconds": f"{min(times):.2f}", "median_seconds": f"{np.median(times):.2f}"}
        row["gib_beyond_features"] = "" if memory is None else f"{memory / 2**30:.2f}"
        for name, values in (("cmc1", hits1), ("map", average_precision), ("minp", inverse_negative_penalty)):
            row[name] = "" if ranks is None else f"{np.nanmean(values(ranks)):.6f}"
        # Other work on the machine slows all rounds; its share is told, not hidden.
        row |= {"load": f"{os.getloadavg()[0]:.1f}", "machine": machine()}
        rows.append(row)
        print(row)

    runs = [measure(lambda: rank_positives(query, gallery, labels)) for _ in range(args.rounds)]
    add("unveil", [r[1] for r in runs], max(r[2] for r in runs), runs[0][0])

    # The same few queries for both, because the last bits of a product depend on its shape.
    some = slice(NAIVE_QUERIES)
    few = Labels({name: codes[some] for name, codes in labels.query.items()}, labels.gallery, labels.junk)
    times = []
    for _ in range(args.rounds):
        start = time.perf_counter()
        reference = naive(query.select(some), gallery, few)
        times.append((time.perf_counter() - start) * QUERIES / NAIVE_QUERIES)
    own = rank_positives(query.select(some), gallery, few)
    wrong = [i for i, expected in enumerate(reference) if not np.array_equal(own.of(i), expected)]
    if wrong:
        raise SystemExit(f"the naive reference ranks the positives of queries {wrong} otherwise")
    print(f"the naive reference gives the same ranks for {NAIVE_QUERIES} queries")
    add(f"naive full sort, extrapolated from {NAIVE_QUERIES} queries", times, None, None)

    if args.rerank:
        need = rerank_memory(QUERIES, GALLERY, NUMBERS, settings)
        print(f"re-ranking: at most {need / 2**30:.2f} GiB estimated")
        ranks, seconds, memory = measure(lambda: rank_blocks(rerank_blocks(query, gallery, settings), labels))
        add("re-ranking", [seconds], memory, ranks)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="") as f:
            writer = csv.DictWriter(f, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
