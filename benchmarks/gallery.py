"""Time, recall and memory of a gallery of many crops, against exact search in numpy in the same run.

    python benchmarks/gallery.py [--crops 100000] [--parts 1] [--queries 200] [--index] [--out FILE.csv]

The vectors are made to be like real ones: 12,000 crops of `world:default`, embedded by a ResNet-18, are unit vectors of
512 numbers whose mean has length 0.17, whose variance is 0.38 between and 0.59 within the crops of one outfit, and
whose spectra fall as 1 / (1 + (i / 7)^2) and 1 / (1 + (i / 9)^1.5). Outfits have 20 crops. With --parts 4 a crop has
four vectors of 128 such numbers, and each part is visible with probability 0.8. Queries are held-out crops of outfits
that are there. A thumbnail is 4,000 bytes that do not compress. The filter is one camera of 26.

Every time is on whatever else the machine does, and the load stands beside it; processor time (of this process and the
server) hardly depends on that.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import psutil

from csv_rows import measured_on, write_rows
from unveil.gallery.records import EmbeddingSpace, Filter, Item, first_stage_vectors
from unveil.gallery.search.records import Query
from unveil.gallery.search.searcher import Searcher
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.protocol import Store
from unveil.records import Embedding

NUMBERS, PER_OUTFIT, CAMERAS, BATCH, TOP, RESCORE = 512, 20, 26, 5_000, 100, 500
FINGERPRINT = "b" * 16


def spectrum(size: int, bend: float, power: float, variance: float) -> np.ndarray:
    falling = 1 / (1 + (np.arange(1, size + 1) / bend) ** power)
    return np.sqrt(falling * variance / falling.sum()).astype(np.float32)


class Maker:
    """Draws crops of outfits, batch after batch, the same for a seed."""

    def __init__(self, parts: int, seed: int = 0) -> None:
        self.parts, self.size = parts, NUMBERS // parts
        self.random = np.random.default_rng(seed)
        self.bases = [[self._basis() for _ in range(3)] for _ in range(parts)]

    def _basis(self) -> np.ndarray:
        return np.linalg.qr(self.random.standard_normal((self.size, self.size)))[0].astype(np.float32)

    def outfits(self, count: int) -> np.ndarray:
        """Return the centres of outfits ``(count, parts, size)``."""
        scale = spectrum(self.size, 7, 2, 0.38)
        drawn = [self.random.standard_normal((count, self.size), np.float32) * scale @ b[0] for b in self.bases]
        return np.stack([part + 0.17 * b[2][0] for part, b in zip(drawn, self.bases, strict=True)], 1)

    def crops(self, centres: np.ndarray) -> Embedding:
        """Return one crop for each centre."""
        scale = spectrum(self.size, 9, 1.5, 0.59)
        drawn = [self.random.standard_normal((len(centres), self.size), np.float32) * scale @ b[1] for b in self.bases]
        vectors = centres + np.stack(drawn, 1)
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        visibility = np.ones(vectors.shape[:2], np.float32)
        if self.parts > 1:
            visibility = (self.random.random(vectors.shape[:2]) < 0.8).astype(np.float32)
            visibility[visibility.sum(1) == 0] = 1
        return Embedding(vectors, visibility, names(self.parts))


def names(parts: int) -> tuple[str, ...]:
    return ("global",) if parts == 1 else tuple(f"part{i}" for i in range(parts))


class Server:
    """Counts the processor time of this process and of the server's, which other work on the machine does not touch."""

    def __init__(self, folder: Path) -> None:
        self.pid_file = folder / "postgres" / "postmaster.pid"

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text().split()[0])

    def seconds(self) -> float:
        main = psutil.Process(self.pid)
        own = time.process_time() + sum(main.cpu_times()[:4])  # the last two are of children that ended
        for process in main.children():
            with suppress(psutil.NoSuchProcess):
                own += sum(process.cpu_times()[:2])
        return own


def fill(store: Store, maker: Maker, crops: int, server: Server) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Insert the crops; return seconds and processor seconds, the first-stage vectors in memory, the centres."""
    centres = maker.outfits(crops // PER_OUTFIT)
    noise = np.random.default_rng(1).bytes(4_000 + BATCH)
    kept, spent, worked = np.empty((crops, NUMBERS), np.float32), 0.0, 0.0
    for first in range(0, crops, BATCH):
        numbers = np.arange(first, min(first + BATCH, crops))
        embedding = maker.crops(centres[numbers // PER_OUTFIT])
        kept[numbers] = first_stage_vectors(embedding)
        items = [
            Item(f"{n:064x}", "crop", b"\xff\xd8" + noise[n % BATCH :][:4_000], camera=f"c{n % CAMERAS}",
                 time=1.7e9 + 60.0 * n, source="made")
            for n in numbers.tolist()
        ]  # fmt: skip
        start, before = time.perf_counter(), server.seconds()
        store.add("made", items, embedding=embedding)
        spent, worked = spent + time.perf_counter() - start, worked + server.seconds() - before
    return spent, worked, kept, centres


def timed(
    what: str, search: Callable[[int], object], count: int, say: Callable[..., None], server: Server | None = None
) -> None:
    """Say the median and the 95th percentile of a search, and what processor time it took."""
    spent = []
    before = server.seconds() if server else time.process_time()
    for i in range(count):
        start = time.perf_counter()
        search(i)
        spent.append(1000 * (time.perf_counter() - start))
    say(f"{what}, p50 ms", float(np.median(spent)))
    say(f"{what}, p95 ms", float(np.quantile(spent, 0.95)))
    after = server.seconds() if server else time.process_time()
    say(f"{what}, processor ms", 1000 * (after - before) / count)


def best(scores: np.ndarray, top: int) -> np.ndarray:
    near = np.argpartition(-scores, top)[:top]
    return near[np.argsort(-scores[near], kind="stable")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=100_000)
    parser.add_argument("--parts", type=int, default=1, choices=(1, 4))
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--index", action="store_true", help="build the engine's index and measure it too")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gallery.csv"))
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []

    def say(what: str, value: float, form: str = ".1f") -> None:
        size = {"crops": arguments.crops, "parts": arguments.parts}
        rows.append({**size, "what": what, "value": format(value, form), **measured_on()})
        print(f"{what}: {value:{form}}", flush=True)

    folder = Path(tempfile.mkdtemp(prefix="unveil-benchmark-"))
    try:
        measure(arguments, folder, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_rows(arguments.out, rows, key=("crops", "parts", "what"))


def measure(arguments: argparse.Namespace, folder: Path, say: Callable[..., None]) -> None:
    maker = Maker(arguments.parts)
    store = open_store(folder=folder)
    store.create("made", EmbeddingSpace(FINGERPRINT, names(arguments.parts), NUMBERS // arguments.parts))
    server = Server(folder)
    seconds, processor, kept, centres = fill(store, maker, arguments.crops, server)
    say("insert, vectors per second", arguments.crops / seconds, ".0f")
    say("insert, vectors per second of processor time", arguments.crops / processor, ".0f")
    asked = np.random.default_rng(2).integers(0, len(centres), arguments.queries)
    queries = maker.crops(centres[asked])
    vectors = first_stage_vectors(queries)
    cameras = np.arange(arguments.crops) % CAMERAS

    searcher = Searcher(store, "made")
    one = Query(queries.select(slice(0, 1)), FINGERPRINT, top=TOP, rescore=RESCORE)
    start, before = time.perf_counter(), server.seconds()
    found = searcher.search(one)
    say("first search, s", time.perf_counter() - start)
    say("first search, processor s", server.seconds() - before)
    assert len(found.hits) == TOP and found.candidates == arguments.crops
    start, before = time.perf_counter(), server.seconds()
    searcher.search(one)
    say("second search, s", time.perf_counter() - start)
    while searcher.search(replace(one, rescore=1)).first_stage != "memory":
        time.sleep(0.5)
    say("second search until all first-stage vectors are in memory, s", time.perf_counter() - start)
    say("the same, processor s", server.seconds() - before)

    def ask(i: int, where: Filter) -> object:
        one = queries.select(slice(i, i + 1))
        return searcher.search(Query(one, FINGERPRINT, where=where, top=TOP, rescore=RESCORE))

    for what, filtered in (("filtered", True), ("unfiltered", False)):

        def ours(i: int, filtered: bool = filtered) -> object:
            return ask(i, Filter(cameras=(f"c{i % CAMERAS}",)) if filtered else Filter())

        def plain(i: int, filtered: bool = filtered) -> object:
            return best((kept[cameras == i % CAMERAS] if filtered else kept) @ vectors[i], TOP)

        timed(f"{what} top-{TOP} with re-scoring of {RESCORE}", ours, len(asked), say, server)
        timed(f"{what} top-{TOP} in numpy, all in memory, no re-scoring", plain, len(asked), say)

    first = int(store.ids("made", Filter())[0])
    few = range(min(50, len(asked)))
    exact = [set(best(kept @ vectors[i], TOP) + first) for i in few]

    def in_memory(i: int) -> np.ndarray:
        return searcher.in_memory.nearest(store.info("made"), vectors[i], where=Filter(), top=TOP)[0]

    def by_engine(i: int) -> np.ndarray:
        return store.nearest("made", vectors[i], where=Filter(), top=TOP)[0]

    def stage(what: str, search: Callable[[int], np.ndarray]) -> None:
        recall = np.mean([len(exact[i] & set(search(i))) / TOP for i in few])
        say(f"{what}, recall at {TOP} against float32", recall, ".4f")
        timed(what, search, len(few), say, server)

    stage("first stage in memory", in_memory)
    stage("first stage by the engine, reading all rows", by_engine)
    if arguments.index:
        start = time.perf_counter()
        store.index("made", least=1)
        say("building the index, s", time.perf_counter() - start)
        stage("first stage by the engine's index", by_engine)

    os.kill(server.pid, signal.SIGKILL)
    start = time.perf_counter()
    again = open_store(folder=folder)
    there = again.info("made").crops
    say("reopen after kill -9, s", time.perf_counter() - start, ".2f")
    assert there == arguments.crops == len(again.ids("made", Filter()))
    start = time.perf_counter()
    assert again.delete("made", Filter(ids=(first,))) == 1
    say("removal of one crop with its bytes, s", time.perf_counter() - start)
    say("most memory of this process, GiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, ".2f")
    size = sum(path.stat().st_size for path in (folder / "postgres").rglob("*") if path.is_file())
    say("on the disk, GiB", size / 2**30, ".2f")
    store.close()
    again.close()


if __name__ == "__main__":
    main()
