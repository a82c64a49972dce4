"""Every command and snippet of the README and the docs runs, in order, on a small generated dataset."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from generated import write_crops
from unveil.cli import app
from unveil.world import config
from unveil.world.config import World

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith("unveil ")]


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """A folder with ``crops/``, ``people/`` and ``query.png``, as the README describes; and worlds of few crops."""
    monkeypatch.setitem(config.PRESETS, "tiny", World(people=24, outfits=2, visits=2, frames=1, cameras=4))
    manifest = write_crops(tmp_path / "crops")
    for row in csv.DictReader(manifest.open()):
        target = tmp_path / "people" / row["person"] / Path(row["path"]).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(manifest.parent / row["path"], target)
    shutil.copy(manifest.parent / "images/p07_c0_0.png", tmp_path / "query.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def galleries(workplace, monkeypatch) -> Iterator[None]:
    """A folder for the commands on galleries."""
    from own_postgres import new_folder, remove

    folder = new_folder()
    monkeypatch.setenv("UNVEIL_GALLERIES", str(folder))
    yield
    remove(folder)


@pytest.fixture
def published_models(workplace, rendered, monkeypatch) -> Iterator[None]:
    """What the page on models takes for granted: files of others, a person to look for, and a publisher's server.

    The server stands in as a mirror; the model that it offers under the published name is a small one made here.
    """
    import torch

    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    import openvino

    from file_server import serve_files
    from runtime.graphs import mean_colours
    from unveil.models.catalogue.digest import Digest
    from unveil.models.catalogue.entry import PublishedFile
    from unveil.models.catalogue.known import KNOWN
    from unveil.nn.backbones.osnet import OSNet

    Image.open(sorted((rendered / "crops").rglob("*.jpg"))[12]).save(workplace / "query.png")
    colours = mean_colours(workplace / "osnet_x0_25_msmt17.onnx", shape=("n", 3, 256, 128))
    openvino.save_model(openvino.Core().read_model(colours), workplace / "reid.xml")
    torch.save({"state_dict": OSNet(1.0).state_dict()}, workplace / "osnet_x1_0_msmt17.pth")
    content = colours.read_bytes()
    digest = Digest("sha384", hashlib.sha384(content).hexdigest())
    name = "person-reidentification-retail-0277"
    file = PublishedFile("https://publisher.test/reid.onnx", len(content), digest, f"{name}.onnx")
    card = {key: value for key, value in KNOWN[name].card.items() if key not in ("input", "output")}
    monkeypatch.setitem(KNOWN, name, dataclasses.replace(KNOWN[name], files=(file,), card=card))
    monkeypatch.setenv("UNVEIL_MODELS", str(workplace / "models"))
    with serve_files() as server:
        server.files["/publisher.test/reid.onnx"] = content
        monkeypatch.setenv("UNVEIL_MIRROR", server.address)
        yield


# What a command gets on top so that it takes seconds; what it does is the same. Coloured bands are no people.
SHORTER = {
    "unveil adapt": "--epochs 1 --skip-person-check",
    "unveil demo": "--people 14 train.epochs=1",
    "unveil search": "--skip-person-check",
    "unveil world video": "--seconds 0.5",
}


def run(command: str) -> None:
    more = next((extra for start, extra in SHORTER.items() if command.startswith(start)), "")
    try:
        app(shlex.split(f"{command} {more}")[1:])
    except SystemExit as end:
        assert not end.code, f"{command}: exit code {end.code}"


def test_every_command_and_snippet_of_the_readme_runs(workplace, capsys):
    readme = ROOT / "README.md"
    assert len(commands(readme)) > 10
    for command in commands(readme):
        run(command)
    for snippet in blocks(readme, "python"):
        exec(compile(snippet, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "[(1, 'p07/p07_c0_0.png', " in out and "under market#" in out.splitlines()[-1]
    for made in (
        "found.png",
        "found.html",
        "cmc.png",
        "runs/first/curves.png",
        "runs/compare/table.md",
        "demo/report.html",
    ):
        assert (workplace / made).stat().st_size > 100, made


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "README.md" and commands(p)], ids=lambda p: p.name)
def test_every_command_of_the_docs_runs(page, workplace, request):
    if any(command.startswith("unveil gallery") for command in commands(page)):
        request.getfixturevalue("galleries")
    if page.name in ("adapt.md", "models.md"):
        request.getfixturevalue("published_models")
    for command in commands(page):
        run(command)


def test_the_examples_of_the_operators_page_do_what_they_say(workplace, galleries, rendered):
    """As printed and in order, in a terminal, where questions are answered with yes."""
    (workplace / "monday").mkdir()
    crops = sorted((rendered / "crops").rglob("*.jpg"))
    for number, crop in enumerate(crops[:12]):
        shutil.copy(crop, workplace / "monday" / f"{number:04d}.jpg")
    Image.open(crops[12]).save(workplace / "query.png")
    page = ROOT / "docs/operator.md"
    printed = [line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    assert len(printed) == 9
    outputs = {command: in_terminal(command) for command in printed}
    deletions = [text for command, text in outputs.items() if command.startswith("unveil gallery delete")]
    assert "2 rows deleted from station" in deletions[0] and "Delete 2 rows of 'station' for good?" in deletions[0]
    assert "1 rows deleted from station" in deletions[1]
    assert "12 crops" in outputs[printed[0]]
    assert in_terminal("unveil audit show --json").count("request of 3 March") == 7
    assert len((workplace / "rows.csv").read_text().splitlines()) == 3
    assert len(list((workplace / "images").iterdir())) == 2
    gone = in_terminal("unveil gallery delete station --id 4711 --yes", code=1)
    assert "nothing was deleted" in gone and "row 4711 is not there" in gone


def in_terminal(command: str, code: int = 0) -> str:
    """Run a command in a pseudo-terminal, answer its question with yes, and return what it printed."""
    import os
    import pty

    main, terminal = pty.openpty()
    words = [sys.executable, "-m", *shlex.split(command)]
    process = subprocess.Popen(words, stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True)
    os.close(terminal)
    shown, answered = "", False
    while True:
        try:
            piece = os.read(main, 4096).decode(errors="replace")
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
        if "[y/N]" in shown and not answered:
            os.write(main, b"y\n")
            answered = True
    os.close(main)
    assert process.wait() == code, f"{command}: {shown}"
    return " ".join(shown.split())


def test_the_walk_through_of_a_new_dataset_works(workplace, monkeypatch):
    module, line = blocks(ROOT / "docs/add-a-dataset.md", "python")
    (workplace / "corridor_reader.py").write_text(module)
    monkeypatch.syspath_prepend(workplace)
    from unveil.data.catalog import READERS
    from unveil.datasets import load_dataset
    from unveil.recipe import DataSource

    monkeypatch.setattr("unveil.data.catalog.READERS", dict(READERS))
    from unveil.data import catalog

    exec(line.replace("unveil.data.readers.corridor", "corridor_reader"), {"READERS": catalog.READERS})
    for split in ("train", "query", "gallery"):
        (workplace / "corridor" / split).mkdir(parents=True)
        shutil.copy(workplace / "query.png", workplace / "corridor" / split / "p012_cam3_0007.png")
    shutil.copy(workplace / "query.png", workplace / "corridor/train/holiday.png")
    dataset = load_dataset(DataSource(name="corridor", root=workplace / "corridor"))
    assert [(s.person, s.camera, s.split) for s in dataset.samples] == [
        ("012", "3", split) for split in ("train", "query", "gallery")
    ]
    assert "1 of 2 image names" in dataset.notes[0]


def test_the_walk_through_of_a_new_method_works(workplace, monkeypatch):
    page = ROOT / "docs/add-a-method.md"
    module, line = blocks(page, "python")
    (workplace / "halves_method.py").write_text(module)
    (workplace / "halves.yaml").write_text(blocks(page, "yaml")[0])
    monkeypatch.syspath_prepend(workplace)
    from unveil import methods

    monkeypatch.setattr(methods, "METHODS", dict(methods.METHODS))
    exec(line.replace("unveil.methods.halves", "halves_method"), {"METHODS": methods.METHODS})
    data = "data.train=manifest:crops/manifest.csv data.test=manifest:crops/manifest.csv"
    assert f"unveil train halves.yaml {data}" in page.read_text()
    run(f"unveil train halves.yaml {data} --out runs/halves")
    from unveil.models.checkpoint import load_model

    model = load_model("runs/halves")
    assert model.card.figures and model.recipe.method.settings == {"margin": 0.2}
    del sys.modules["halves_method"]


def test_the_docs_link_only_to_pages_that_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
