"""Kills at random moments: rows that are lost, there twice, back from the dead, or changed without a word in the log.

    python benchmarks/kills.py --folder kills [--kills 200] [--minutes 20] [--out benchmarks/results/kills.csv]

Every round begins an addition, a video, a deletion, an expiry, a change of the model or a backup, and kills somebody
with SIGKILL at a random moment of it: the process that does it, the PostgreSQL that holds the rows, or a server that
does it over HTTP. Then the store is opened again and held against what was acknowledged:

- lost: rows whose addition was acknowledged and that are not there, though nothing removed them;
- doubled: rows that are there twice, or a video that was begun again and has other rows than one that was not killed;
- back: rows whose removal was acknowledged and that are there, and removals that took only a part;
- unaudited: rounds that changed rows or the model without an entry in the audit log before the change;
- broken: whatever `verify` finds, breaks of the audit log's chain, backups that are there and do not read, a video or a
  change of the model that does not resume after the kill.

The process that is killed is forked, for 200 new Pythons would take half an hour to start; it opens the store itself.
A server is a new process.
PostgreSQL runs from round to round until it is the one that is killed. Models are histograms of colours.

The folder keeps the store and the counts; the same command resumes where it was stopped.
"""

from __future__ import annotations

import argparse
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from csv_rows import measured_on, write_rows
from unveil.adaptation.gallery.job import embed_anew, switch
from unveil.atomic_io import write_text
from unveil.errors import DataError, UnveilError
from unveil.gallery import audit
from unveil.gallery.ingest.adding import space_of
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.records import Filter, Item
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.postgresql import own_server
from unveil.gallery.store.postgresql.backup import check_hashes
from unveil.gallery.store.postgresql.own_server import keeper
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.inference.load import load_engine
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import new_model, save_model
from unveil.recipe import load_recipe
from unveil.video.detectors.precomputed import GivenBoxes

NAME, BATCH, BATCHES, STEP = "kills", 5, 40, 1000.0
MAX_ROWS = 500  # beyond these, something is removed
BEGIN = 1.6e9  # time of the rows of the first round
SIZES = {"a": (64, 32), "b": (48, 24)}  # of the inputs of two models
OPERATIONS, VICTIMS = ("add", "video", "delete", "expire", "adapt", "backup"), ("client", "postgres")
FAULTS = ("lost", "doubled", "back", "unaudited", "broken")
# Seconds until the kill, at most.
LONGEST = {"add": 0.8, "video": 0.8, "delete": 0.3, "expire": 0.3, "adapt": 0.6, "backup": 0.5, "server": 1.0}
FRAMES, WIDTH, HEIGHT = 12, 160, 120


def main() -> None:
    """Kill until there are enough or the time is over, and print the counts."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--folder", type=Path, required=True)
    asked.add_argument("--kills", type=int, default=200, help="stop after so many, those of earlier calls included")
    asked.add_argument("--minutes", type=float, default=20.0)
    asked.add_argument("--server-share", type=float, default=0.08, help="share of rounds that kill `unveil serve`")
    asked.add_argument("--out", type=Path, default=Path("benchmarks/results/kills.csv"))
    options = asked.parse_args()
    rounds = Rounds(options.folder)
    deadline = time.monotonic() + 60 * options.minutes
    try:
        while time.monotonic() < deadline and rounds.kills < options.kills:
            print(rounds.next(options.server_share), flush=True)
            rounds.report(options.out)
    finally:
        own_server.stop(options.folder / "store")
    for what, count in rounds.found():
        print(f"{count:6} {what}")


@dataclass(frozen=True)
class Work:
    """One operation of a round.

    Args:
        folder: with the store, the models and the films.
        operation: what is done.
        number: of the round.
        target: round whose rows a removal takes.
        models: by their name.
    """

    folder: Path
    operation: str
    number: int
    target: int
    models: dict[str, Engine]

    def do(self, told: IO[str]) -> None:
        """Do it as the commands do, and tell what is acknowledged, a line each."""
        store = open_store(folder=self.folder / "store")
        print("ready", file=told, flush=True)
        entry = {"who": "kills", "action": self.operation, "gallery": NAME, "details": {"round": self.number}}
        with audit.audited(store.log, entry):
            getattr(self, f"_{self.operation}")(store, told)
            print("done", file=told, flush=True)
        store.close()

    def _engine(self, store: Store) -> Engine:
        wanted = store.info(NAME).space.fingerprint
        return next(engine for engine in self.models.values() if engine.fingerprint == wanted)

    def _add(self, store: Store, told: IO[str]) -> None:
        engine = self._engine(store)
        for batch in range(BATCHES):
            items = [row(f"{self.number}-{batch}-{n}", self.number) for n in range(BATCH)]
            images = [np.asarray(Image.open(io.BytesIO(item.thumbnail))) for item in items]
            store.add(NAME, items, embedding=engine.embed(images), job=f"job {self.number}", done=batch)
            print(json.dumps([item.key for item in items]), file=told, flush=True)

    def _video(self, store: Store, told: IO[str]) -> None:
        path = film(self.folder, self.number)
        settings = VideoSettings(camera="gate", start_time=BEGIN + STEP * self.number, shortest=2)
        add_video(
            store,
            NAME,
            engine=self._engine(store),
            source=path,
            detector=GivenBoxes(path.with_suffix(".csv")),
            settings=settings,
        )

    def _delete(self, store: Store, told: IO[str]) -> None:
        for label in sources(self.folder, self.target):
            store.delete(NAME, Filter(sources=(label,)))

    def _expire(self, store: Store, told: IO[str]) -> None:
        store.expire(NAME, BEGIN + STEP * (self.target + 0.5))

    def _adapt(self, store: Store, told: IO[str]) -> None:
        own = self._engine(store)
        label, other = next((name, e) for name, e in self.models.items() if e.fingerprint != own.fingerprint)
        embed_anew(store, NAME, engine=other, model=label, parser=None)
        switch(store, NAME, engine=other, model=label, parser=None)

    def _backup(self, store: Store, told: IO[str]) -> None:
        store.backup(self.folder / f"{self.number}.unveil")


def row(key: str, number: int) -> Item:
    """Return a row of a round."""
    return Item(key, "crop", jpeg(), camera="gate", time=BEGIN + STEP * number, source=f"round {number}")


def sources(folder: Path, number: int) -> tuple[str, str]:
    """Return what the rows of a round come from: one of both."""
    return f"round {number}", str(folder / f"round {number}.mp4")


def jpeg(side: int = 64) -> bytes:
    """Return a small image that is like no other."""
    out = io.BytesIO()
    noise = np.frombuffer(os.urandom(3 * 4 * 8), np.uint8).reshape(8, 4, 3)
    Image.fromarray(noise).resize((side, 2 * side), Image.Resampling.NEAREST).save(out, "JPEG", quality=95)
    return out.getvalue()


def film(folder: Path, number: int) -> Path:
    """Return a film of two coloured boxes that is like no other, with its boxes beside it; made if it is not there."""
    import av

    path = folder / f"round {number}.mp4"
    if path.exists() and path.with_suffix(".csv").exists():
        return path
    rng = np.random.default_rng(number)
    images, lines = rng.integers(0, 256, (2, 8, 4, 3), np.uint8), ["frame,x,y,width,height,track"]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in range(FRAMES):
            image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            for who, colours in enumerate(images):
                x = 10 + 70 * who + 2 * frame
                image[20:100, x : x + 40] = colours.repeat(10, 0).repeat(10, 1)
                lines.append(f"{frame},{x},20,40,80,{who}")
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    path.with_suffix(".csv").write_text("\n".join(lines) + "\n")
    return path


@dataclass(frozen=True)
class Came:
    """What came of an operation: acknowledged keys, whether its end was, and whether anybody was killed."""

    keys: frozenset[str] = frozenset()
    done: bool = False
    killed: bool = False


def forked(do: Callable[[IO[str]], None]) -> tuple[int, IO[str]]:
    """Start a process that does something; return its number and what it tells."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as told:
                do(told)
        except BaseException:  # PostgreSQL was killed, or there is a fault, which the check then finds
            os._exit(1)
        os._exit(0)
    os.close(writing)
    return process, os.fdopen(reading)


class Rounds:
    """The store, what has to be in it, and the counts so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._file = folder / "counts.json"
        state = json.loads(self._file.read_text()) if self._file.exists() else {"round": 0, "counts": {}, "faults": {}}
        self._round: int = state["round"]
        self._counts: Counter[str] = Counter(state["counts"])
        self._faults: Counter[str] = Counter(state["faults"])
        folder.mkdir(parents=True, exist_ok=True)
        self._models = {name: model(self._folder / f"{name}.safetensors", *size) for name, size in SIZES.items()}
        store = open_store(folder=self._folder / "store")
        if NAME not in [info.name for info in store.galleries()]:
            store.create(NAME, space_of(self._models["a"]), retention_seconds=1.0)
        store.close()
        # Once: a film that was seen to its end gives no rows again.
        self._film_rows: int = state.get("film_rows") or self._rows_of_a_film()
        store = open_store(folder=self._folder / "store")
        self._there = rows(store)  # number of the round -> keys; what a kill of this script left is taken as it is
        self._seen = store.head()[0]
        self._space = store.info(NAME).space.fingerprint
        store.close()
        self._keep()

    @property
    def kills(self) -> int:
        """How many there were."""
        return sum(n for what, n in self._counts.items() if "over before" not in what)

    def _keep(self) -> None:
        state = {
            "round": self._round,
            "film_rows": self._film_rows,
            "counts": self._counts,
            "faults": self._faults,
        }
        write_text(self._file, json.dumps(state, indent=1) + "\n")

    def _rows_of_a_film(self) -> int:
        """Return how many rows a film gives when nobody is killed."""
        for operation in ("delete", "video", "delete"):
            self._finish(Work(self._folder, operation, 0, 0, self._models))
            if operation == "video":
                store = open_store(folder=self._folder / "store")
                count = len(rows(store)[0])
                store.close()
        return count

    def next(self, server_share: float) -> str:
        """Do one round; return what came of it."""
        self._round += 1
        chance = random.Random(f"{self._round} {time.time()}")
        over_http = chance.random() < server_share
        victim = "server" if over_http else chance.choice(VICTIMS)
        operation = chance.choice(("add", "delete") if over_http else OPERATIONS)
        if sum(map(len, self._there.values())) > MAX_ROWS:
            operation = chance.choice(("delete",) if over_http else ("delete", "expire"))
        if not self._there:
            operation = "add"
        target = chance.choice(sorted(self._there)) if self._there else 0
        work = Work(self._folder, operation, self._round, target, self._models)
        seconds = chance.random() * LONGEST["server" if over_http else operation]
        came = self._serve(work, seconds) if over_http else self._kill(work, victim, seconds=seconds)
        faults = self._check(work, came)
        self._counts[f"{operation}, {victim}" if came.killed else f"{operation}, over before the kill"] += 1
        self._faults.update(faults)
        self._keep()
        told = "; ".join(f"{n} {fault}" for fault, n in faults.items()) or "nothing wrong"
        return f"round {self._round}: {operation}, {victim} killed after {seconds:.2f} s: {told}"

    def _kill(self, work: Work, victim: str, *, seconds: float) -> Came:
        process, told = forked(work.do)
        if told.readline() != "ready\n":
            raise UnveilError(f"round {work.number} did not begin")
        server = keeper.process_of(self._folder / "store" / "postgres")
        time.sleep(seconds)
        killed = os.waitpid(process, os.WNOHANG)[0] == 0
        if killed:
            if victim == "client":
                os.kill(process, signal.SIGKILL)
            elif server is not None:
                os.kill(server, signal.SIGKILL)
        with told:
            lines = told.readlines()  # until the process is gone
        if killed:
            os.waitpid(process, 0)
        keys = frozenset(key for line in lines if line.startswith("[") for key in json.loads(line))
        return Came(keys, "done\n" in lines, killed)

    def _finish(self, work: Work) -> bool:
        """Do an operation to its end; return whether it came there."""
        process, told = forked(work.do)
        with told:
            lines = told.readlines()
        os.waitpid(process, 0)
        return "done\n" in lines

    def _serve(self, work: Work, seconds: float) -> Came:
        """Do an operation over HTTP with a server that is killed."""
        import httpx2 as httpx

        label = next(name for name, engine in self._models.items() if engine.fingerprint == self._space)
        words = ["serve", "--folder", str(self._folder / "store"), "--port", "0", "--rate", "0", "--engine", "torch"]
        words += ["--model", str(self._folder / f"{label}.safetensors")]

        server = subprocess.Popen([sys.executable, "-m", "unveil", *words], stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        said, found = "", None
        for line in server.stderr:
            said += line
            if found := re.search(r"serving at (http://[^/]+)/", line):
                break
        if found is None:
            raise UnveilError(f"round {work.number}: the server did not begin: {said[-500:]}")
        address = found[1]
        threading.Thread(target=server.stderr.read, daemon=True).start()
        url = f"{address}/api/v1/galleries/{NAME}"
        done, added, begun, ended = False, 0, threading.Event(), threading.Event()

        def ask() -> None:
            nonlocal done, added
            try:
                while work.operation == "add" and not ended.is_set():
                    when = {"time": BEGIN + STEP * work.number, "source": f"round {work.number}"}
                    answer = client.post(f"{url}/items", params=when, content=jpeg())
                    added += answer.raise_for_status().json()["added"]
                    begun.set()
                if work.operation == "delete":
                    body = {"where": {"sources": list(sources(self._folder, work.target))}}
                    begun.set()
                    done = client.post(f"{url}/deletions", json=body).raise_for_status().status_code == 200
            except (httpx.TransportError, ValueError):
                pass

        with httpx.Client(timeout=60) as client:
            while client.get(f"{address}/healthz").status_code != 200:
                time.sleep(0.1)
            asking = threading.Thread(target=ask)
            asking.start()
            if not begun.wait(60):
                raise UnveilError(f"round {work.number}: the server refuses what it is asked")
            time.sleep(seconds)
            server.kill()
            ended.set()
            server.wait(60)
            asking.join()
        # The server names the rows that it adds, so they are counted.
        return Came(frozenset(f"one of {added}: {n}" for n in range(added)), done, killed=True)

    def _check(self, work: Work, came: Came) -> Counter[str]:
        """Hold the store against what was acknowledged; return the faults."""
        faults: Counter[str] = Counter()
        store = open_store(folder=self._folder / "store")
        try:
            now = rows(store)
            space = store.info(NAME).space.fingerprint
            added = now.get(work.number, [])
            if any(key.startswith("one of ") for key in came.keys):
                faults["lost"] += max(0, len(came.keys) - len(added))
            else:
                faults["lost"] += len(came.keys - set(added))
            for number, keys in self._there.items():
                left, gone = set(now.get(number, ())), set(keys) - set(now.get(number, ()))
                meant = (work.operation == "delete" and number == work.target) or (
                    work.operation == "expire" and number <= work.target
                )
                if not meant:
                    faults["lost"] += len(gone)
                elif came.done or gone:  # all of it, or nothing
                    faults["back"] += len(left)
            entries = store.entries_after(self._seen, 1000, gallery=NAME)
            before = {number: set(keys) for number, keys in self._there.items()}
            changed = {number: set(keys) for number, keys in now.items()} != before or space != self._space
            faults["unaudited"] += changed and work.operation not in {entry["action"] for entry in entries}
            # A removal that was killed leaves a note of the files that it has to write anew; any removal does that.
            store.expire(NAME, 0.0)
        finally:
            store.close()
        if work.operation in ("video", "adapt") and came.killed and not came.done:
            faults["broken"] += not self._finish(work)  # what was begun resumes
        store = open_store(folder=self._folder / "store")
        try:
            now = rows(store)
            faults["doubled"] += sum(len(keys) - len(set(keys)) for keys in now.values())
            if work.operation == "video":
                faults["doubled"] += len(now.get(work.number, ())) != self._film_rows
            if work.operation == "adapt":
                faults["broken"] += store.info(NAME).space.fingerprint == self._space
            faults["broken"] += len(store.verify(NAME)) + len(audit.wrong(store.links(), store.head()))
            for path in self._folder.glob("*.unveil"):
                try:
                    check_hashes(path)
                except DataError:
                    faults["broken"] += 1
                path.unlink()
            self._there, self._seen = now, store.head()[0]
            self._space = store.info(NAME).space.fingerprint
        finally:
            store.close()
        return +faults

    def found(self) -> list[tuple[str, int]]:
        """Return what was counted."""
        faults = [(f"{what} (rows, rounds or findings)", self._faults[what]) for what in FAULTS]
        return [*sorted(self._counts.items()), ("kills in all", self.kills), *faults]

    def report(self, path: Path) -> None:
        """Write the counts as CSV."""
        write_rows(path, [{"what": what, "count": count, **measured_on()} for what, count in self.found()])


def model(path: Path, height: int, width: int) -> Engine:
    """Return a model of colours that runs, made when it is not there."""
    if not path.exists():
        recipe = load_recipe(None, ["method.name=histogram", f"input.height={height}", f"input.width={width}"])
        save_model(path, new_model(recipe, LabelSpace(2)), card=Card(recipe=recipe.model_dump(mode="json"), persons=2))
    return load_engine(path, "torch")


def rows(store: Store) -> dict[int, list[str]]:
    """Return the keys of all rows by the number of their round."""
    found: dict[int, list[str]] = {}
    after = 0
    while page := store.find(NAME, Filter(), limit=1000, after=after):
        for item in page:
            number = re.search(r"round (\d+)", item.source)
            assert number is not None
            found.setdefault(int(number[1]), []).append(item.key)
        after = page[-1].id or 0
    return found


if __name__ == "__main__":
    main()
