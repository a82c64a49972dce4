"""Names of datasets beside each other, and paths that were given for names."""

import pytest

from command_line import refused
from unveil.datasets import load_dataset
from unveil.datasets.names import told_apart
from unveil.errors import DataError
from unveil.recipe import DataSource


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (["a /d/x", "b /d/x"], ["a", "b"]),
        (["m /d/market", "m /d/occluded"], ["m (market)", "m (occluded)"]),
        (["m /d/market", "o /d/market", "m /e/market"], ["m (d/market)", "o", "m (e/market)"]),
        (["m /d", "m /d/d"], ["m (/d)", "m (d/d)"]),
        (["w small", "w small?seed=2"], ["w (w:small)", "w (w:small?seed=2)"]),
        (["w small", "w small"], ["w (w:small, 1)", "w (w:small, 2)"]),
        (["w ", "w ?seed=2"], ["w (w)", "w (w?seed=2)"]),
        ([], []),
    ],
)
def test_what_shares_a_name_tells_its_source(named, told):
    pairs = [text.split(" ") for text in named]
    sources = [DataSource.of(":".join(pair)) for pair in pairs]
    assert told_apart([name for name, _ in pairs], sources) == told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("crops", "that is a folder: write folder:crops"),
        ("mine", "that is a folder: write manifest:mine/manifest.csv"),
        ("mine/", "that is a folder: write manifest:mine/manifest.csv"),
        ("mine/manifest.csv", "that is a file: write manifest:mine/manifest.csv"),
        ("crops?split=test", "that is a folder: write folder:crops"),
        ("foldr", "did you mean 'folder'?"),
    ],
)
def test_a_path_in_place_of_a_name_is_told_how_it_is_written(tmp_path, monkeypatch, given, said):
    (tmp_path / "crops").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/manifest.csv").write_text("path,person\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="unknown dataset") as refusal:
        load_dataset(DataSource.of(given))
    assert said in str(refusal.value)
    assert said in refused("data", "check", given)
