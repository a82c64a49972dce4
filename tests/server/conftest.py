"""The real server over a real store and a real, untrained model: colours of stripes, so that the order has a reason."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")
pytest.importorskip("httpx2", reason="the extra test is not installed")

from fastapi.testclient import TestClient

from callers import BEGIN, CAMERAS, FREE, LOOPBACK, PEOPLE, SHOTS, Callers, encoded
from generated import figure
from own_postgres import NewDatabase
from unveil.gallery.ingest.adding import open_gallery
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.records import Item
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.inference.load import load_engine
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import new_model, save_model
from unveil.parsing.onnx_parser import OnnxParser
from unveil.recipe import load_recipe
from unveil.server.app import create_app
from unveil.server.run import listen, server_of
from unveil.server.service import Service
from unveil.server.settings import Settings
from unveil.video.detectors.detect import Detector, load_detector

_numbers = itertools.count()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    recipe = load_recipe(None, ["method.name=histogram", "input.height=128", "input.width=64"])
    save_model(path, new_model(recipe, LabelSpace(2)), card=Card(recipe=recipe.model_dump(mode="json"), persons=2))
    return path


@pytest.fixture(scope="session")
def engine(model: Path) -> Engine:
    return load_engine(model, "torch")


@pytest.fixture(scope="session")
def server(new_database: NewDatabase) -> str:
    """Address of a store for the tests of this folder."""
    return new_database(True)


@pytest.fixture(scope="session")
def store(server: str) -> Iterator[Store]:
    store = open_store(server)
    yield store
    store.close()


@pytest.fixture(scope="session")
def fill(store: Store, engine: Engine) -> Callable[[str], str]:
    """Return what makes a gallery of 8 people, each seen twice by three cameras; person p has the label "p0p"."""

    def make(name: str) -> str:
        open_gallery(store, name, engine=engine)
        items, images = [], []
        for p, c, s in itertools.product(range(PEOPLE), range(CAMERAS), range(SHOTS)):
            pixels = figure(p, c % 2, s + 3 * c, 128, 64)
            time = BEGIN + 600 * p + 60 * c + 5 * s
            tags = ("entrance", "rain") if c == 0 else ("hall",)
            items.append(
                Item(f"{name}-{p}-{c}-{s}", "crop", encoded(pixels, "JPEG"), f"c{c}.mp4", f"c{c}", time,
                     person=f"p{p:02d}", tags=tags, visible=0.4 + 0.3 * s)
            )  # fmt: skip
            images.append(pixels)
        store.add(name, items, embedding=engine.embed(images))
        return name

    return make


@pytest.fixture(scope="session")
def gallery(fill: Callable[[str], str]) -> str:
    """A gallery that no test changes."""
    return fill("station")


@pytest.fixture
def own_gallery(fill: Callable[[str], str]) -> str:
    """A gallery of one test's own."""
    return fill(f"own{next(_numbers)}")


@pytest.fixture
def service_with(store: Store, engine: Engine) -> Iterator[Callable[..., Service]]:
    """Return what makes services over the store; they are closed after the test."""
    made = []

    def make(parser: OnnxParser | None = None, detector: Detector | None = None, **settings) -> Service:
        finder = detector or load_detector()
        made.append(
            Service(store, engine, detector=finder, settings=Settings(**{"limits": FREE, **settings}), parser=parser)
        )
        return made[-1]

    yield make
    for service in made:
        service.close()


@pytest.fixture(scope="session")
def parser() -> OnnxParser:
    """The parser that `unveil serve` looks at query images with."""
    found = find_parser(1)
    assert found is not None
    return found


@pytest.fixture
def client(service_with, gallery: str) -> TestClient:
    """A client on this machine, of a server without tokens."""
    return TestClient(create_app(service_with()), base_url=LOOPBACK)


@pytest.fixture
def callers(tmp_path: Path, service_with, gallery: str) -> Callers:
    return Callers(tmp_path, service_with)


@pytest.fixture
def live(service_with, gallery: str) -> Iterator[Callable[..., str]]:
    """Return what starts a server on a port of its own, with settings, and gives its address."""
    running = []

    def start(**settings) -> str:
        listener = listen("127.0.0.1", 0)
        uvicorn = server_of(create_app(service_with(**settings)))
        thread = threading.Thread(target=uvicorn.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((uvicorn, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for uvicorn, thread in running:
        uvicorn.should_exit = True
        thread.join(20)
