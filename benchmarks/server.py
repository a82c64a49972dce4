"""Time of a search over HTTP, by one client and by twenty at once, beside exact numpy on the same crops.

    python benchmarks/server.py [--rows 20000] [--model runs/best] [--out benchmarks/results/server.csv]

A request is what the page does: send an image, search with it. Gallery vectors are drawn at random; the images are
noise, each another, so that nothing is found in a cache. Numpy embeds the same images one by one and sorts all rows.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import numpy as np
from PIL import Image

from csv_rows import measured_on, write_rows
from unveil.evaluation.distances import distance_matrix
from unveil.gallery.records import EmbeddingSpace, Item
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.inference.load import load_engine
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import new_model, save_model
from unveil.recipe import load_recipe
from unveil.records import Embedding
from unveil.server.app import create_app
from unveil.server.run import listen, server_of
from unveil.server.service import Service
from unveil.server.settings import Limits, Settings

NAME = "bench"
CLIENTS = 20
BATCH = 5_000


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=20_000)
    asked.add_argument("--requests", type=int, default=200)
    asked.add_argument("--model", type=Path, help="an untrained OSNet x0.25 at 128 x 64 by default")
    asked.add_argument("--engine", default="auto")
    asked.add_argument("--out", type=Path, default=Path("benchmarks/results/server.csv"))
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # run by root, the own PostgreSQL is another user's
        engine = load_engine(options.model or untrained(Path(folder) / "model.safetensors"), options.engine)
        store = open_store(None, Path(folder) / "store")
        gallery = fill(store, engine, options.rows)
        service = Service(store, engine, detector=None, settings=Settings(limits=Limits(rate=0)))
        listener = listen("127.0.0.1", 0)
        server = server_of(create_app(service))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        rows = measure(f"http://127.0.0.1:{listener.getsockname()[1]}", service, gallery, options.requests)
        server.should_exit = True
        thread.join()
        store.close()
    write_rows(options.out, rows)
    for row in rows:
        print(row)


def untrained(path: Path) -> Path:
    overrides = ["method.name=bot", "backbone.name=osnet_x0_25", "input.height=128", "input.width=64"]
    recipe = load_recipe(None, overrides)
    save_model(path, new_model(recipe, LabelSpace(2)), card=Card(recipe=recipe.model_dump(mode="json"), persons=2))
    return path


def fill(store: Store, engine: Engine, rows: int) -> Embedding:
    info = engine.space_info
    store.create(NAME, EmbeddingSpace(engine.fingerprint, info.names, info.dimension, info.metric, info.weights))
    rng, parts, thumbnail = np.random.default_rng(0), [], image(0)
    for first in range(0, rows, BATCH):
        n = min(BATCH, rows - first)
        vectors = rng.standard_normal((n, len(info.names), info.dimension), dtype=np.float32)
        part = Embedding(vectors, np.ones(vectors.shape[:2], np.float32), info.names, info.metric, info.weights)
        items = [
            Item(f"row{first + k}", "crop", thumbnail, camera=f"c{k % 8}", time=float(first + k)) for k in range(n)
        ]
        store.add(NAME, items, embedding=part)
        parts.append(part)
    return Embedding.concatenate(parts)


def measure(address: str, service: Service, gallery: Embedding, requests: int) -> list[dict[str, object]]:
    images = [image(n) for n in range(1, 2 * requests + 1)]
    with httpx.Client(base_url=address, timeout=120) as client:
        for n in range(5):  # the first search reads the gallery into memory
            ask(client, image(-1 - n))
        alone = times(lambda data: ask(client, data), images[:requests], 1)
    calls = service.metrics.batches._value.get()
    clients = [httpx.Client(base_url=address, timeout=120) for _ in range(CLIENTS)]
    local = threading.local()

    def one(data: bytes) -> bool:
        if not hasattr(local, "client"):
            local.client = clients.pop()
        return ask(local.client, data)

    many = times(one, images[requests:], CLIENTS)
    calls = service.metrics.batches._value.get() - calls
    numpy_alone = times(lambda data: exact(service.engine, data, gallery), images[:requests], 1)
    said = {"rows": len(gallery), "numbers": gallery.vectors[0].size, "engine": service.engine.kind}
    return [
        row("server, 1 client", 1, alone, **said, engine_calls=requests),
        row(f"server, {CLIENTS} clients at once", CLIENTS, many, **said, engine_calls=int(calls)),
        row("numpy, exact, without a server", 1, numpy_alone, **said, engine_calls=requests),
    ]


def ask(client: httpx.Client, data: bytes) -> bool:
    sent = client.post("/api/v1/images", content=data)
    if sent.status_code != 201:
        return False
    body = {"positives": [{"image": sent.json()["image"]}], "top": 20, "rows": "crop"}
    found = client.post(f"/api/v1/galleries/{NAME}/searches", json=body)
    return found.status_code == 201 and len(found.json()["hits"]) == 20


def exact(engine: Engine, data: bytes, gallery: Embedding) -> bool:
    distances = distance_matrix(engine.embed([np.asarray(Image.open(io.BytesIO(data)))]), gallery)
    return len(np.argsort(distances[0])[:20]) == 20


def times(work: Callable[[bytes], bool], images: list[bytes], clients: int) -> tuple[list[float], int, float]:
    """Return seconds of each request, how many failed, and seconds of all together."""
    taken: list[float] = []

    def one(data: bytes) -> bool:
        begun = time.perf_counter()
        well = work(data)
        taken.append(time.perf_counter() - begun)
        return well

    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        failed = sum(not well for well in pool.map(one, images))
    return taken, failed, time.perf_counter() - begun


def row(what: str, clients: int, measured: tuple[list[float], int, float], **more: object) -> dict[str, object]:
    taken, failed, total = measured
    middle, late = (1000 * float(np.quantile(taken, q)) for q in (0.5, 0.95))
    return {
        "what": what, "clients": clients, "requests": len(taken), "failed": failed, "p50_ms": round(middle, 1),
        "p95_ms": round(late, 1), "per_second": round(len(taken) / total, 1), **more,
        **measured_on(),
    }  # fmt: skip


def image(seed: int) -> bytes:
    pixels = np.random.default_rng(abs(seed) + (10**6 if seed < 0 else 0)).integers(0, 256, (128, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
