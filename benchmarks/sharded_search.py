"""A search over many machines, simulated: what merging loses, what the slowest machine costs, what a lost one hides.

    python benchmarks/sharded_search.py [--rows 200000] [--queries 200] [--out benchmarks/results/sharded_search.csv]

Three questions, each with real vectors or real numbers:

- **merging**: rows lie on S shards, at random or by camera; each shard gives its exact best k', the best 100 of all are
  kept. Recall is the share of the true best 100 among them. Rows are people with an outfit's offset and noise, a few
  cameras for each.
- **tail**: a search waits for its slowest shard. Times of one shard are drawn from a log-normal distribution through
  the median and the 95th percentile of `benchmarks/results/gallery.csv` (a million rows on two cores), as they are and
  with one answer in 200 that takes ten times as long (an assumption: a disk, a share or a neighbour that stalls); with
  hedging, a shard that has not answered by its 95th percentile is asked again at a replica; the first answer counts.
- **loss**: machines fail at random; a shard is lost when all its replicas are. The share of rows that no answer can
  show, mean and worst of many draws.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from csv_rows import measured_on, read_rows, write_rows

RESULTS = Path(__file__).parent / "results"
TOP, DIMENSION, CAMERAS = 100, 64, 200
SHARDS = (1, 4, 16, 64, 256)
DRAWS = 20_000
Z95 = 1.6449  # standard deviations of the 95th percentile
STALLS, SLOWER = 0.005, 10  # assumed: one answer in 200 takes ten times as long


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS / "sharded_search.csv")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = [*merging(args.rows, args.queries, rng), *tail(rng), *loss(rng)]
    write_rows(args.out, [row | measured_on() for row in rows])
    for row in rows:
        print(*row.values(), sep="\t")


def merging(count: int, queries: int, rng: np.random.Generator) -> list[dict[str, object]]:
    """Return the recall of the merged best 100, by number of shards, where rows lie, and answers of each shard."""
    people = rng.standard_normal((count // 40, DIMENSION)).astype(np.float32)
    who = rng.integers(len(people), size=count)
    seen_by = rng.integers(CAMERAS, size=(len(people), 4))
    camera = seen_by[who, rng.integers(4, size=count)]
    vectors = people[who] + 0.6 * rng.standard_normal((count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = people[rng.integers(len(people), size=queries)]
    asked = asked + 0.6 * rng.standard_normal(asked.shape).astype(np.float32)
    likeness = asked @ vectors.T
    order = np.argsort(-likeness, axis=1, kind="stable")
    found = []
    for shards in SHARDS:
        for place, shard in (("at random", rng.integers(shards, size=count)), ("by camera", camera % shards)):
            of_rank = shard[order]
            for answers in sorted({TOP, max(1, 4 * TOP // shards), max(1, 2 * TOP // shards)} - {0}, reverse=True):
                if answers > TOP:
                    continue
                kept = [recall(line, answers, shards) for line in of_rank]
                found.append(row("merging", shards, f"{place}, {answers} of each", "recall at 100", np.mean(kept)))
    return found


def recall(shard_of_rank: np.ndarray, answers: int, shards: int) -> float:
    """Return the share of the best 100 that are among the best of their shards."""
    best = np.bincount(shard_of_rank[:TOP], minlength=shards)
    return float(np.minimum(best, answers).sum() / TOP)


def tail(rng: np.random.Generator) -> list[dict[str, object]]:
    """Return percentiles of the time of a search that waits for all shards, with and without hedging."""
    median, p95 = one_shard()
    spread = math.log(p95 / median) / Z95
    found = []
    for shards in SHARDS:
        for setting, stalls, hedged in (
            ("as measured", 0.0, False),
            ("stalls", STALLS, False),
            ("stalls, hedged", STALLS, True),
        ):
            times, again = (answers(median, spread, stalls, shards, rng) for _ in range(2))
            if hedged:
                times = np.minimum(times, p95 + again)
            for name, share in (("p50 ms", 50), ("p95 ms", 95), ("p99 ms", 99)):
                found.append(row("tail", shards, setting, name, np.percentile(times.max(axis=1), share)))
    return found


def answers(median: float, spread: float, stalls: float, shards: int, rng: np.random.Generator) -> np.ndarray:
    """Return times of answers, ``(DRAWS, shards)`` milliseconds."""
    times = median * np.exp(spread * rng.standard_normal((DRAWS, shards)))
    return np.where(rng.random((DRAWS, shards)) < stalls, SLOWER * times, times)


def one_shard() -> tuple[float, float]:
    """Return the measured median and 95th percentile of a search among a million rows, in milliseconds."""
    lines = [
        line for line in read_rows(RESULTS / "gallery.csv")
        if line["crops"] == "1000000" and line["what"].startswith("unfiltered top-100 with")
    ]  # fmt: skip
    values = {line["what"].rpartition(", ")[2]: float(line["value"]) for line in lines}
    return values["p50 ms"], values["p95 ms"]


def loss(rng: np.random.Generator) -> list[dict[str, object]]:
    """Return the share of rows that are hidden while some of the machines are down."""
    found = []
    for shards in SHARDS[2:]:
        for replicas in (1, 2, 3):
            for down in (0.01, 0.05):
                lost = (rng.random((DRAWS, shards, replicas)) < down).all(axis=2).mean(axis=1)
                setting = f"{replicas} replicas, {100 * down:g} % of machines down"
                found.append(row("loss", shards, setting, "rows hidden, mean %", 100 * lost.mean()))
                found.append(row("loss", shards, setting, "of the time some row is hidden, %", 100 * (lost > 0).mean()))
    return found


def row(question: str, shards: int, setting: str, what: str, value: float) -> dict[str, object]:
    return {"question": question, "shards": shards, "setting": setting, "what": what, "value": f"{value:.4g}"}


if __name__ == "__main__":
    main()
