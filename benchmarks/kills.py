"""Kills at random moments: rows that are lost, there twice, back from the dead, or changed without a word in the log.

    python benchmarks/kills.py --folder kills [--minutes 10] [--server-share 0.1] [--out benchmarks/results/kills.csv]

Every round begins an addition, a deletion, an expiry or a backup, and kills somebody with SIGKILL at a random moment
of it: the process that does it, the PostgreSQL that holds the rows, or a server that does it over HTTP. Then the store
is opened again and held against what was acknowledged:

- lost: rows whose addition was acknowledged and that are not there, though nothing removed them;
- doubled: rows that are there twice;
- back: rows whose removal was acknowledged and that are there, and removals that took only a part;
- unaudited: rounds that changed rows without an entry in the audit log before the change;
- broken: whatever `verify` finds, breaks of the audit log's chain, backups that are there and do not read.

The folder keeps the store and the counts; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from unveil.errors import DataError, UnveilError
from unveil.files import write_text
from unveil.gallery import audit
from unveil.gallery.records import Filter, Item, Space
from unveil.gallery.store import own_server
from unveil.gallery.store.backup import check_hashes
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.own_server import keeper
from unveil.gallery.store.protocol import Store
from unveil.records import Embedding

NAME, BATCH, BATCHES, STEP = "kills", 20, 60, 1000.0
BEGIN = 1.6e9  # time of the rows of the first round
OPERATIONS, VICTIMS = ("add", "delete", "expire", "backup"), ("client", "postgres")
FAULTS = ("lost", "doubled", "back", "unaudited", "broken")
LONGEST = {"add": 1.5, "delete": 0.6, "expire": 0.6, "backup": 0.8, "server": 2.0}  # seconds until the kill, at most


def main() -> None:
    """Kill until the time is over, and print the counts."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--folder", type=Path, required=True)
    asked.add_argument("--minutes", type=float, default=10.0)
    asked.add_argument("--server-share", type=float, default=0.1, help="share of rounds that kill `unveil serve`")
    asked.add_argument("--out", type=Path, default=Path("benchmarks/results/kills.csv"))
    asked.add_argument("--work", nargs=3, help=argparse.SUPPRESS, metavar=("OPERATION", "ROUND", "TARGET"))
    options = asked.parse_args()
    if options.work:
        operation, number, target = options.work
        work(options.folder, operation, number=int(number), target=int(target))
        return
    rounds = Rounds(options.folder)
    until = time.monotonic() + 60 * options.minutes
    while time.monotonic() < until:
        print(rounds.next(options.server_share), flush=True)
    rounds.report(options.out)


def work(folder: Path, operation: str, *, number: int, target: int) -> None:
    """Do one operation as the commands do it, telling on standard output what is acknowledged."""
    store = open_store(folder=folder / "store")
    space = store.info(NAME).space
    print("ready", flush=True)
    sys.stdin.readline()
    entry = {"who": "kills", "action": operation, "gallery": NAME, "details": {"round": number}}
    with audit.audited(store.log, entry):
        if operation == "add":
            for batch in range(BATCHES):
                keys = [f"{number}-{batch}-{n}" for n in range(BATCH)]
                store.add(NAME, [item(key, number) for key in keys], vectors(space, len(keys)), f"job {number}", batch)
                print(json.dumps(keys), flush=True)
        elif operation == "delete":
            store.delete(NAME, Filter(sources=(source(target),)))
        elif operation == "expire":
            store.expire(NAME, BEGIN + STEP * target + 1.5)
        else:
            store.backup(folder / f"{number}.unveil")
        print("done", flush=True)
    store.close()


def source(number: int) -> str:
    """Return what the rows of a round come from."""
    return f"round {number}"


def item(key: str, number: int) -> Item:
    """Return a row of a round."""
    return Item(key, "crop", jpeg(), camera="gate", time=BEGIN + STEP * number, source=source(number))


def vectors(space: Space, count: int) -> Embedding:
    """Return vectors at random."""
    made = np.random.default_rng().normal(size=(count, len(space.names), space.dimension)).astype(np.float32)
    return Embedding(made, np.ones(made.shape[:2], np.float32), space.names, space.metric, space.weights)


def jpeg(side: int = 64) -> bytes:
    """Return a small image that is like no other."""
    out = io.BytesIO()
    noise = np.frombuffer(os.urandom(3 * 4 * 8), np.uint8).reshape(8, 4, 3)
    Image.fromarray(noise).resize((side, 2 * side), Image.Resampling.NEAREST).save(out, "JPEG", quality=95)
    return out.getvalue()


class Rounds:
    """The store, what has to be in it, and the counts so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "counts.json"
        state = json.loads(self._file.read_text()) if self._file.exists() else {"round": 0, "counts": {}, "faults": {}}
        self._round: int = state["round"]
        self._counts: Counter[str] = Counter(state["counts"])
        self._faults: Counter[str] = Counter(state["faults"])
        folder.mkdir(parents=True, exist_ok=True)
        store = open_store(folder=folder / "store")
        if NAME not in [info.name for info in store.galleries()]:
            self._create(store)
        self._there = rows(store)  # number of the round -> keys; what a kill of this script left is taken as it is
        self._seen = store.head()[0]
        store.close()

    def _create(self, store: Store) -> None:
        from unveil.inference.load import load_engine
        from unveil.shipped import DEFAULT_MODEL

        engine = load_engine(Path(DEFAULT_MODEL), "auto")
        info = engine.space_info
        space = Space(engine.fingerprint, info.names, info.dimension, info.metric, info.weights, dict(info.input))
        store.create(NAME, space, keep=1.0)

    def next(self, server_share: float) -> str:
        """Do one round; return what came of it."""
        self._round += 1
        chance = random.Random(f"{self._round} {time.time()}")
        over_http = chance.random() < server_share
        victim = "server" if over_http else chance.choice(VICTIMS)
        operation = chance.choice(("add", "delete") if over_http else OPERATIONS)
        if not self._there:
            operation = "add"
        target = chance.choice(sorted(self._there)) if self._there else 0
        seconds = chance.random() * LONGEST["server" if over_http else operation]
        if over_http:
            acknowledged, done, killed = self._serve(operation, target, seconds)
        else:
            acknowledged, done, killed = self._work(operation, victim, target=target, seconds=seconds)
        faults = self._check(operation, acknowledged, done=done, target=target)
        self._counts[f"{operation}, {victim}" if killed else f"{operation}, over before the kill"] += 1
        self._faults.update(faults)
        write_text(
            self._file,
            json.dumps({"round": self._round, "counts": self._counts, "faults": self._faults}, indent=1) + "\n",
        )
        told = "; ".join(faults.elements()) or "nothing wrong"
        return f"round {self._round}: {operation}, {victim} killed after {seconds:.2f} s: {told}"

    def _work(self, operation: str, victim: str, *, target: int, seconds: float) -> tuple[set[str], bool, bool]:
        """Return acknowledged keys, whether the end was acknowledged, and whether anybody was killed."""
        words = [sys.executable, __file__, "--folder", str(self._folder), "--work", operation]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*words, str(self._round), str(target)], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdin is not None and process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise UnveilError(f"round {self._round} did not begin")
        server = keeper.process_of(self._folder / "store" / "postgres")
        process.stdin.write("go\n")
        process.stdin.flush()
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
        reader.start()
        time.sleep(seconds)
        killed = process.poll() is None
        if killed:
            if victim == "client":
                process.kill()
            elif server is not None:
                os.kill(server, signal.SIGKILL)
        process.wait(120)
        reader.join()
        done = "done\n" in lines
        return {key for line in lines if line.startswith("[") for key in json.loads(line)}, done, killed

    def _serve(self, operation: str, target: int, seconds: float) -> tuple[set[str], bool, bool]:
        """Do an operation over HTTP with a server that is killed; see `_work`."""
        import httpx2 as httpx

        words = [sys.executable, "-m", "unveil", "serve", "--folder", str(self._folder / "store"), "--port", "0"]
        server = subprocess.Popen([*words, "--rate", "0"], stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        address = next(m[1] for line in server.stderr if (m := re.search(r"serving at (http://[^/]+)/", line)))
        threading.Thread(target=server.stderr.read, daemon=True).start()
        url = f"{address}/api/v1/galleries/{NAME}"
        done, added, ended = False, 0, threading.Event()

        def ask() -> None:
            nonlocal done, added
            try:
                while operation == "add" and not ended.is_set():
                    when = {"time": BEGIN + STEP * self._round, "source": source(self._round)}
                    added += httpx.post(f"{url}/items", params=when, content=jpeg(), timeout=60).json()["added"]
                if operation == "delete":
                    body = {"where": {"sources": [source(target)]}}
                    done = httpx.post(f"{url}/deletions", json=body, timeout=60).status_code == 200
            except (httpx.TransportError, ValueError, KeyError):
                pass

        while httpx.get(f"{address}/healthz", timeout=60).status_code != 200:
            time.sleep(0.1)
        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(seconds)
        server.kill()
        ended.set()
        server.wait(60)
        asking.join()
        # The server names the rows that it adds, so they are counted.
        return {f"one of {added}: {n}" for n in range(added)}, done, True

    def _check(self, operation: str, acknowledged: set[str], *, done: bool, target: int) -> Counter[str]:
        """Hold the store against what was acknowledged; return the faults."""
        faults: Counter[str] = Counter()
        store = open_store(folder=self._folder / "store")
        try:
            now = rows(store)
            faults["doubled"] = sum(len(keys) - len(set(keys)) for keys in now.values())
            added = now.get(self._round, [])
            if any(key.startswith("one of ") for key in acknowledged):
                faults["lost"] += max(0, len(acknowledged) - len(added))
            else:
                faults["lost"] += len(acknowledged - set(added))
            for number, keys in self._there.items():
                left, gone = set(now.get(number, ())), set(keys) - set(now.get(number, ()))
                meant = (operation == "delete" and number == target) or (operation == "expire" and number <= target)
                if not meant:
                    faults["lost"] += len(gone)
                elif done or gone:  # all of it, or nothing
                    faults["back"] += len(left)
            entries = store.entries_after(self._seen, 1000, gallery=NAME)
            changed = {number: set(keys) for number, keys in now.items()} != {
                number: set(keys) for number, keys in self._there.items()
            }
            faults["unaudited"] += changed and operation not in {entry["action"] for entry in entries}
            # A removal that was killed leaves a note of the files that it has to write anew; any removal does that.
            store.expire(NAME, 0.0)
            faults["broken"] += len(store.verify(NAME)) + len(audit.wrong(store.links(), store.head()))
            for path in self._folder.glob("*.unveil"):
                try:
                    check_hashes(path)
                except DataError:
                    faults["broken"] += 1
                path.unlink()
            self._there, self._seen = now, store.head()[0]
        finally:
            store.close()
            own_server.stop(self._folder / "store")
        return +faults

    def report(self, path: Path) -> None:
        """Print the counts, and write them as CSV."""
        kills = sum(n for what, n in self._counts.items() if "over before" not in what)
        found = [*sorted(self._counts.items()), ("kills in all", kills)]
        found += [(f"{what} (rows, rounds or findings)", self._faults[what]) for what in FAULTS]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("what", "count"), *found])
        for what, count in found:
            print(f"{count:6} {what}")


def rows(store: Store) -> dict[int, list[str]]:
    """Return the keys of all rows by the number of their round."""
    found: dict[int, list[str]] = {}
    after = 0
    while page := store.find(NAME, Filter(), 1000, after):
        for row in page:
            found.setdefault(int(row.source.split()[-1]), []).append(row.key)
        after = page[-1].id or 0
    return found


if __name__ == "__main__":
    main()
