"""Time and memory of the evaluator at the size of Market-1501, against a naive full sort of some of the queries.

    python benchmarks/evaluator.py [--rounds 5] [--rerank] [--out benchmarks/results/evaluator.csv]
    python benchmarks/evaluator.py --queries 10000 --gallery 10000 100000 1000000 --numbers 512 --rounds 1 --out ...
    python benchmarks/evaluator.py --compiled torchreid=rank_cy.so --compiled fastreid=other/rank_cy.so
    python benchmarks/evaluator.py --plot docs/pictures/evaluator.svg

Features are drawn at random around one centre a person. Memory is the peak of the process during the evaluation, less
what it held with the features in place, and with them. The naive one sorts at most 256 MiB of distances.

``--compiled`` names the compiled rankings of torchreid and FastReID, where they were built (Cython; ``make`` in
``torchreid/metrics/rank_cylib`` and ``fastreid/evaluation/rank_cylib``): each is run in turn with ours, from features
to figures, with the distances that they need whole from the same function, and must give the same Rank-1 and mAP.

``--plot`` measures nothing: it draws seconds against the size of the gallery from ``results/evaluator_sizes.csv``.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np

from csv_rows import measured_on, read_rows, write_rows
from plots import save_svg
from unveil.evaluation.distances import distance_blocks, distance_matrix
from unveil.evaluation.metrics import average_precision, hits, inverse_negative_penalty
from unveil.evaluation.protocols import Labels
from unveil.evaluation.ranking import Ranks, rank_blocks, rank_positives, ranked_blocks
from unveil.evaluation.rerank import RerankSettings, rerank_blocks, rerank_memory
from unveil.records import Embedding

T = TypeVar("T")
QUERIES, GALLERY, NUMBERS, CAMERAS = 3_368, 15_913, 2_048, 6
CROPS_OF_PERSON = 21  # in the gallery, as in Market-1501
NAIVE_QUERIES, NAIVE_BYTES = 100, 2**28  # that the naive one computes
AGREES = 1e-4  # theirs add in float32
SIZES = Path(__file__).parent / "results" / "evaluator_sizes.csv"


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
    blocks = distance_blocks(query, gallery, blocks=ranked_blocks(len(query), len(gallery)))
    for i, distances in enumerate(row for _, block in blocks for row in block):
        same = labels.gallery["person"] == labels.query["person"][i]
        order = np.lexsort((same, distances))  # at equal distance the positives last
        same = same[order]
        junk = same & (labels.gallery["camera"][order] == labels.query["camera"][i])
        found.append(np.flatnonzero(same[~junk]) + 1)
    return found


def resident() -> int:
    """Bytes of memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure(work: Callable[[], T]) -> tuple[T, float, int]:
    """Run once; return the result, seconds, and the peak of memory beyond the start (sampled each millisecond)."""
    before, peak, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.001):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return result, seconds, max(peak[0] - before, 0)


def hits1(ranks: Ranks) -> np.ndarray:
    return hits(ranks, 1)


def load_compiled(path: str) -> ModuleType:
    """Return a compiled ranking of torchreid or FastReID; both are called ``rank_cy`` and tried one by one."""
    spec = importlib.util.spec_from_file_location("rank_cy", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: not a compiled module of Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ranked_by(module: ModuleType, query: Embedding, gallery: Embedding, labels: Labels) -> tuple[float, float]:
    """Return Rank-1 and mAP as a compiled ranking has them: a mean (torchreid) or a value for each query (FastReID)."""
    codes = [side[name] for name in ("person", "camera") for side in (labels.query, labels.gallery)]
    curve, precision, *_ = module.evaluate_cy(distance_matrix(query, gallery), *codes, 50)
    return float(curve[0]), float(np.mean(precision))


def measured(
    queries: int, size: int, numbers: int, *, rounds: int, rerank: bool, compiled: dict[str, ModuleType]
) -> Iterator[dict[str, object]]:
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
        return row | measured_on()

    runs = []
    theirs: dict[str, list[tuple[tuple[float, float], float, int]]] = {name: [] for name in compiled}
    for _ in range(rounds):
        runs.append(measure(lambda: rank_positives(query, gallery, labels=labels)))
        for name, module in compiled.items():
            theirs[name].append(measure(partial(ranked_by, module, query, gallery, labels)))
    yield row("unveil", [r[1] for r in runs], max(r[2] for r in runs), runs[0][0])
    own = (float(np.nanmean(hits1(runs[0][0]))), float(np.nanmean(average_precision(runs[0][0]))))
    for name, answers in theirs.items():
        if not np.allclose(answers[0][0], own, atol=AGREES):
            raise SystemExit(f"{name} has Rank-1 and mAP {answers[0][0]}, ours is {own}")
        cells = row(f"compiled ranking of {name}", [r[1] for r in answers], max(r[2] for r in answers))
        yield cells | {"cmc1": f"{answers[0][0][0]:.6f}", "map": f"{answers[0][0][1]:.6f}"}

    # The same few queries for both, because the last bits of a product depend on its shape.
    some = slice(min(NAIVE_QUERIES, NAIVE_BYTES // (4 * size)))
    few = Labels({name: codes[some] for name, codes in labels.query.items()}, labels.gallery, labels.junk)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        reference = naive(query.select(some), gallery, few)
        times.append((time.perf_counter() - start) * queries / some.stop)
    own_few = rank_positives(query.select(some), gallery, labels=few)
    wrong = [i for i, expected in enumerate(reference) if not np.array_equal(own_few.of(i), expected)]
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


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """Draw seconds against crops of the gallery, ours and the naive sort, each with what linear growth would be."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.4))
    for start, label in (("unveil", "unveil evaluate"), ("naive", "full sort of every row, extrapolated")):
        found = sorted(
            (int(row["gallery"]), float(row["best_seconds"])) for row in rows if row["what"].startswith(start)
        )
        sizes, seconds = (np.array(column) for column in zip(*found, strict=True))
        line = axes.loglog(sizes, seconds, "o-", label=label)[0]
        linear = "linear from the smallest" if start == "naive" else None
        axes.loglog(sizes, seconds[0] * sizes / sizes[0], ":", color=line.get_color(), linewidth=1, label=linear)
    axes.set(xlabel="crops in the gallery", ylabel=f"seconds for {int(rows[0]['queries']):,} queries")
    axes.set_xticks(sizes)
    axes.get_xaxis().set_major_formatter("{x:,.0f}")
    axes.get_yaxis().set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.legend(loc="lower right", fontsize="small")
    save_svg(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--gallery", type=int, nargs="+", default=[GALLERY], help="sizes, one after the other")
    parser.add_argument("--numbers", type=int, default=NUMBERS, help="of a vector")
    parser.add_argument("--rounds", type=int, default=5, help="best and median of so many are reported")
    parser.add_argument("--rerank", action="store_true", help="also measure k-reciprocal re-ranking, once")
    parser.add_argument("--compiled", action="append", default=[], metavar="NAME=FILE", help="repeat it")
    parser.add_argument("--out", type=Path, help="CSV to write")
    parser.add_argument("--plot", type=Path, help="SVG to draw, from the CSV of sizes, instead")
    args = parser.parse_args()
    if args.plot:
        draw(read_rows(SIZES), args.plot)
        return
    compiled = {name: load_compiled(path) for name, _, path in (text.partition("=") for text in args.compiled)}
    rows = []
    for size in args.gallery:
        for row in measured(
            args.queries, size, args.numbers, rounds=args.rounds, rerank=args.rerank, compiled=compiled
        ):
            print(row, flush=True)
            rows.append(row)
    if args.out:
        write_rows(args.out, rows)


if __name__ == "__main__":
    main()
