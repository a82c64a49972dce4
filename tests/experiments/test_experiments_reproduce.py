"""The page on reproducing the papers: every command runs up to its training, on miniatures of the benchmarks."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from miniatures import MINIATURES
from unveil.cli import app
from unveil.experiments.ablation import tables
from unveil.experiments.grid import Cell
from unveil.methods import method_requirements
from unveil.models import evaluate
from unveil.models.parsing_maps import open_training_set, training_set_for
from unveil.recipe import Recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reproduce.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.startswith("unveil ")
]
TRAINING = [line for line in COMMANDS if line.split()[1] in ("bench", "ablate")]
BUILT = ("occ_prcc", "occ_ltcc")
PAPERS = ("oc4", "ssgr", "pab", "cre", "ocnet")
OURS = {"repo", "heads", "ibn"}  # tables that are no ablation of the paper, or rows of its Table 1


class TrainingBegins(Exception):
    """What a command would train, in place of days of a GPU."""

    def __init__(self, cells: list[Cell]) -> None:
        super().__init__()
        self.cells = cells


def words(command: str) -> list[str]:
    return shlex.split(os.path.expandvars(command))[1:]


def invoke(command: str):
    result = CliRunner().invoke(app, ["-q", *words(command)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory: pytest.TempPathFactory, rendered: Path) -> Path:
    """Folder of miniatures, and of what the page's own commands make of them."""
    from PIL import Image

    data = tmp_path_factory.mktemp("data")
    crops = sorted((rendered / "crops").rglob("*.jpg"))

    def write(root: Path, names: tuple[str, ...]) -> None:
        for number, name in enumerate(names):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.open(crops[number % len(crops)]).resize((16, 32)).save(root / name)

    used = {word.partition(":")[0] for line in COMMANDS for word in re.findall(r"\w+:(?=\$DATA)", line)}
    for name in sorted(used - {"opreid", *BUILT}):
        miniature = MINIATURES[name]
        write(data / ("cuhk03/labeled" if name == "cuhk03" else miniature.root), miniature.names)
    write(data / "cuhk03/detected", MINIATURES["cuhk03"].names)
    rows = [("train", "a", 1), ("train", "b", 1), ("query", "c", 2), ("gallery", "d", 2)]
    write(data / "OPReID", tuple(f"{name}.jpg" for _, name, _ in rows))
    table = "".join(f"{split},{name}.jpg,{person},{name}\n" for split, name, person in rows)
    (data / "OPReID/manifest.csv").write_text("split,path,pid,camid\n" + table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA", str(data))
        for command in COMMANDS:
            if command.split()[1] in ("occlude", "parse"):
                assert invoke(command).exit_code == 0, command
    return data


@pytest.fixture
def begin(benchmarks: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Cell]]:
    """Return a function that runs a command until its training would begin, and returns the runs."""
    monkeypatch.setenv("DATA", str(benchmarks))

    def stop(cells: list[Cell], *_: object, **__: object) -> None:
        raise TrainingBegins(cells)

    monkeypatch.setattr("unveil.experiments.grid.run_grid", stop)

    def run(command: str) -> list[Cell]:
        with pytest.raises(TrainingBegins) as begun:
            invoke(command)
        return begun.value.cells

    return run


@pytest.mark.parametrize("command", TRAINING, ids=lambda command: command.rpartition("/")[2])
def test_a_command_has_the_data_that_its_training_and_its_tests_need(command, begin, tmp_path):
    done: set[str] = set()
    for cell in begin(command):
        recipe: Recipe = cell.recipe
        assert recipe.backbone.init == "imagenet" and recipe.backbone.name.startswith("resnet50"), cell.label
        requirements = method_requirements(recipe.method.name, recipe.method.settings)
        if (kind := f"{requirements}{recipe.data}{recipe.input}") in done:
            continue
        done.add(kind)
        data = open_training_set(recipe, tmp_path)
        assert data.clothes or not requirements.train_clothes, cell.label
        assert data.parsing_scheme or not requirements.train_parsing, cell.label
        assert training_set_for(data, requirements, size=recipe.input).parsing_scheme == requirements.train_parsing
        for source in recipe.data.test:
            samples = [
                sample for split in evaluate.test_set(source)[0] for sample in split.samples if sample.split != "train"
            ]
            assert samples and (not requirements.test_parsing or all(sample.parsing for sample in samples)), source
    assert done


def test_the_page_has_every_table_of_the_five_papers():
    run = {(line.split()[2], line.split("--table ")[1].split()[0]) for line in TRAINING if "--table" in line}
    for method in PAPERS:
        missing = {name for name in tables(method) if (method, name) not in run} - OURS
        assert not missing, f"{method}: {missing}"


def test_checks_of_the_data_run(benchmarks, monkeypatch):
    monkeypatch.setenv("DATA", str(benchmarks))
    checks = [command for command in COMMANDS if command.startswith("unveil data check")]
    assert len(checks) > 1
    for command in checks:
        result = invoke(command)
        assert result.exit_code == 1 and "images" in result.output  # a miniature has fewer than published


def test_the_rehearsal_trains_measures_and_writes_all_rows_of_a_method(rendered, tmp_path, monkeypatch):
    (command,) = (line for line in COMMANDS if line.startswith("unveil ablate-all"))
    monkeypatch.chdir(tmp_path)
    assert set(PAPERS) < set(re.findall(r"--method (\w+)", command))
    command = re.sub(r"( --method \w+)+", " --method cal", command).replace("world:tiny?people=6", f"world:{rendered}")
    assert invoke(command).exit_code == 0
    lines = (tmp_path / "runs/rehearsal/ablations.csv").read_text().splitlines()[1:]
    rows = {line.split(",")[2] for line in lines}
    assert rows == {row.label for row in tables("cal")["clothes"].rows} and all("random weights" in x for x in lines)


def test_the_hours_are_calculated_as_the_page_says():
    counted = dict(
        re.findall(r"^\| (\w+) \|.*? \| ([\d.]+) G \|", (ROOT / "docs/methods.md").read_text(), re.MULTILINE)
    )
    rows = re.findall(r"^\| (\w+) \| ([\w-]+) \| ([\d,]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert {row[0] for row in rows} >= set(PAPERS)
    for name, _, crops, hours in rows:
        recipe = yaml.safe_load((ROOT / f"src/unveil/recipes/{name}.yaml").read_text(encoding="utf-8"))
        area = recipe["input"]["height"] * recipe["input"]["width"] / (256 * 128)
        copies = 2 if name in ("ssgr", "cre") else 1
        crops_seen = int(crops.replace(",", "")) * recipe["train"]["epochs"] * copies
        operations = 6 * crops_seen * float(counted[name]) * 1e9 * area
        assert float(hours) == round(operations / 20e12 / 3600, 1), name
