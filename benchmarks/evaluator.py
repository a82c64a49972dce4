"""Time and memory of the evaluator at the size of Market-1501, against a naive full sort of some of the queries.

    python benchmarks/evaluator.py [--rounds 5] [--rerank] [--out benchmarks/results/evaluator.csv]
    python benchmarks/evaluator.py --queries 10000 --gallery 10000 100000 1000000 --numbers 512 --rounds 1 --out ...

Features are drawn at random around one centre a person. Memory is the peak of the process during the evaluation, less
what it held with the features in place, and with them. The naive one sorts at most 256 MiB of distances.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from csv_rows import write_rows
from unveil.evaluation.distances import distance_matrix
from unveil.evaluation.metrics import average_precision, hits, inverse_negative_penalty
from unveil.evaluation.protocols import Labels
from unveil.evaluation.ranking import Ranks, rank_blocks, rank_positives
from unveil.evaluation.rerank import RerankSettings, rerank_blocks, rerank_memory
from unveil.records import Embedding

QUERIES, GALLERY, NUMBERS, CAMERAS = 3_368, 15_913, 2_048, 6
CROPS_OF_PERSON = 21  # in the gallery, as in Market-1501
NAIVE_QUERIES, NAIVE_BYTES = 100, 2**28  # that the naive one computes


def features(queries: int, gallery: int, numbers: int, *, seed: int = 0) -> tuple[Embedding, Embedding, Labels]:
    rng = np.random.default_rng(seed)
    persons = gallery // CROPS_OF_PERSON
    centres = rng.standard_normal((persons, numbers), dtype=np.float32)
    sides, codes = [], []
    for count, first in ((queries, 0), (gallery, queries)):
        person = rng.integers(0, persons, count)
        vectors = rng.standard_normal((count, numbers), dtype=np.float32)
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


def measured(queries: int, size: int, numbers: int, *, rounds: int, rerank: bool) -> Iterator[dict[str, object]]:
    """Yield a row for each way of evaluating one size."""
    query, gallery, labels = features(queries, size, numbers)
    held = resident()

    def row(what: str, times: list[float], memory: int | None = None, ranks: Ranks | None = None) -> dict[str, object]:
        row: dict[str, object] = {
            "what": what, "queries": queries, "gallery": size, "numbers": numbers, "rounds": len(times),
            "best_seconds": f"{min(times):.2f}", "median_seconds": f"{np.median(times):.2f}",
            "gib_beyond_features": "" if memory is None else f"{memory / 2**30:.2f}",
            "gib": "" if memory is None else f"{(memory + held) / 2**30:.2f}",
        }  # fmt: skip
        for name, values in (("cmc1", hits1), ("map", average_precision), ("minp", inverse_negative_penalty)):
            row[name] = "" if ranks is None else f"{np.nanmean(values(ranks)):.6f}"
        # Other work on the machine slows all rounds; its share is told, not hidden.
        return row | {"load": f"{os.getloadavg()[0]:.1f}", "machine": machine()}

    runs = [measure(lambda: rank_positives(query, gallery, labels=labels)) for _ in range(rounds)]
    yield row("unveil", [r[1] for r in runs], max(r[2] for r in runs), runs[0][0])

    # The same few queries for both, because the last bits of a product depend on its shape.
    some = slice(min(NAIVE_QUERIES, NAIVE_BYTES // (4 * size)))
    few = Labels({name: codes[some] for name, codes in labels.query.items()}, labels.gallery, labels.junk)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        reference = naive(query.select(some), gallery, few)
        times.append((time.perf_counter() - start) * queries / some.stop)
    own = rank_positives(query.select(some), gallery, labels=few)
    wrong = [i for i, expected in enumerate(reference) if not np.array_equal(own.of(i), expected)]
    if wrong:
        raise SystemExit(f"the naive reference ranks the positives of queries {wrong} otherwise")
    print(f"the naive reference gives the same ranks for {some.stop} queries")
    yield row(f"naive full sort, extrapolated from {some.stop} queries", times)

    if rerank:
        settings = RerankSettings()
        need = rerank_memory(queries, size, numbers=numbers, settings=settings)
        print(f"re-ranking: at most {need / 2**30:.2f} GiB estimated")
        ranks, seconds, memory = measure(lambda: rank_blocks(rerank_blocks(query, gallery, settings=settings), labels))
        yield row("re-ranking", [seconds], memory, ranks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--gallery", type=int, nargs="+", default=[GALLERY], help="sizes, one after the other")
    parser.add_argument("--numbers", type=int, default=NUMBERS, help="of a vector")
    parser.add_argument("--rounds", type=int, default=5, help="best and median of so many are reported")
    parser.add_argument("--rerank", action="store_true", help="also measure k-reciprocal re-ranking, once")
    parser.add_argument("--out", type=Path, help="CSV to write")
    args = parser.parse_args()
    rows = []
    for size in args.gallery:
        for row in measured(args.queries, size, args.numbers, rounds=args.rounds, rerank=args.rerank):
            print(row, flush=True)
            rows.append(row)
    if args.out:
        write_rows(args.out, rows)


if __name__ == "__main__":
    main()
