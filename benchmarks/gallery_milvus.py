"""A gallery whose first stage is on Milvus, beside the same rows in PostgreSQL and exact numpy, in one run.

    python benchmarks/gallery_milvus.py [--crops 100000] [--queries 100] [--plain-insert] [--out FILE.csv]

The crops are those of `benchmarks/gallery.py`. Milvus is the standalone server of the package `milvus`, a process of
its own on this machine; PostgreSQL is the package's own server. Rows go to both, as the store does it, so the same rows
answer by Milvus' graph (HNSW) and by PostgreSQL reading them all; numpy has the first-stage vectors in memory.
`--plain-insert` adds the crops once more to a store without Milvus, to compare the two inserts.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import milvus
import numpy as np
import psutil

from csv_rows import measured_on, write_rows
from gallery import CAMERAS, FINGERPRINT, NUMBERS, TOP, Maker, Server, best, fill, names, timed
from unveil.errors import UnveilError
from unveil.gallery.records import EmbeddingSpace, Filter, first_stage_vectors
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.postgresql.store import PostgresStore
from unveil.gallery.store.protocol import Store

Say = Callable[..., None]
LONGEST_START = 300.0  # seconds
SPACE = EmbeddingSpace(FINGERPRINT, names(1), NUMBERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--plain-insert", action="store_true", help="insert into a store without Milvus too")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gallery_milvus.csv"))
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []

    def say(what: str, value: float, form: str = ".1f") -> None:
        rows.append({"crops": arguments.crops, "what": what, "value": format(value, form), **measured_on()})
        print(f"{what}: {value:{form}}", flush=True)

    folder = Path(tempfile.mkdtemp(prefix="unveil-benchmark-"))
    server = milvus.MilvusServer(milvus.MilvusServerConfig(), data_dir=str(folder / "milvus"))
    try:
        server.start()
        if arguments.plain_insert:
            insert_without_milvus(arguments.crops, folder / "plain", say)
        measure(arguments, folder, server, say)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    write_rows(arguments.out, rows, key=("crops", "what"))


def insert_without_milvus(crops: int, folder: Path, say: Say) -> None:
    store = open_store(folder=folder)
    store.create("made", SPACE)
    seconds, _, _, _ = fill(store, Maker(1), crops, Server(folder))
    say("insert without Milvus, vectors per second", crops / seconds, ".0f")
    store.close()
    shutil.rmtree(folder)


def measure(arguments: argparse.Namespace, folder: Path, server: milvus.MilvusServer, say: Say) -> None:
    address = f"+milvus=http://127.0.0.1:{server.listen_port}"
    store = open_store(address, folder=folder)
    store.create("made", SPACE)
    maker = Maker(1)
    seconds, _, kept, centres = fill(store, maker, arguments.crops, Server(folder))
    say("insert, vectors per second", arguments.crops / seconds, ".0f")
    asked = np.random.default_rng(2).integers(0, len(centres), arguments.queries)
    vectors = first_stage_vectors(maker.crops(centres[asked]))
    cameras = np.arange(arguments.crops) % CAMERAS
    first = int(store.ids("made", Filter())[0])

    def searches(filtered: bool) -> dict[str, Callable[[int], np.ndarray]]:
        def where(i: int) -> Filter:
            return Filter(cameras=(f"c{i % CAMERAS}",)) if filtered else Filter()

        def by_numpy(i: int) -> np.ndarray:
            rows = np.flatnonzero(cameras == i % CAMERAS) if filtered else np.arange(len(kept))
            return first + rows[best((kept[rows] if filtered else kept) @ vectors[i], TOP)]

        return {
            "numpy, exact, all in memory": by_numpy,
            "Milvus": lambda i: store.nearest("made", vectors[i], where=where(i), top=TOP)[0],
            "PostgreSQL, reading all rows": lambda i: PostgresStore.nearest(
                store, "made", vectors[i], where=where(i), top=TOP
            )[0],
        }

    def stage(what: str, engines: dict[str, Callable[[int], np.ndarray]], engine: str, count: int) -> None:
        exact = engines["numpy, exact, all in memory"]
        few = range(min(50, count))
        recall = np.mean([len(set(exact(i)) & set(engines[engine](i))) / TOP for i in few])
        say(f"{what} first stage by {engine}, recall at {TOP}", recall, ".4f")
        timed(f"{what} first stage by {engine}", engines[engine], count, say)

    kinds = {"unfiltered": searches(filtered=False), "filtered": searches(filtered=True)}
    for what, engines in kinds.items():
        stage(f"{what}, before the graph is whole,", engines, "Milvus", len(asked))
    start = time.perf_counter()
    store.index("made")
    say("from then to the whole graph, s", time.perf_counter() - start)
    say("memory of Milvus, GiB", psutil.Process(server.server_proc.pid).memory_info().rss / 2**30, ".2f")
    for what, engines in kinds.items():
        for engine in engines:
            stage(what, engines, engine, min(20, len(asked)) if "PostgreSQL" in engine else len(asked))

    say("most memory of this process, GiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, ".2f")
    restart(store, vectors[0], server, say)
    wrong = store.verify("made")
    assert not wrong, wrong
    for name in ("milvus", "postgres"):
        size = sum(path.stat().st_size for path in (folder / name).rglob("*") if path.is_file())
        say(f"on the disk, {name}, GiB", size / 2**30, ".2f")
    store.close()


def restart(store: Store, query: np.ndarray, server: milvus.MilvusServer, say: Say) -> None:
    """Kill Milvus, start it again, and ask until it answers as before."""
    before = store.nearest("made", query, where=Filter(), top=TOP)[0]
    killed = psutil.Process(server.server_proc.pid)
    # Not by `server.start`, which would draw other ports for its parts than those that its own register has.
    command, folder, environment = killed.cmdline(), killed.cwd(), killed.environ()
    killed.kill()
    server.server_proc.wait()
    start = time.perf_counter()
    server.server_proc = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while True:
        try:
            after = store.nearest("made", query, where=Filter(), top=TOP)[0]
            break
        except UnveilError:
            if time.perf_counter() - start > LONGEST_START:
                raise
            time.sleep(0.5)
    say("Milvus from kill -9 to its first answer, s", time.perf_counter() - start)
    say("share of its hits that are the same after the kill", len(set(before) & set(after)) / TOP, ".2f")


if __name__ == "__main__":
    main()
