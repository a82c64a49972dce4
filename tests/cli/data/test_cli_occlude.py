"""``unveil parse`` and ``unveil occlude`` from the command line."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from unveil.cli import app
from unveil.data.readers import prcc
from unveil.errors import DataError, UnveilError
from unveil.label_sets import LIP20, PASCAL7
from unveil.parsing.formats.schp import write_label_png

PRCC = [f"rgb/train/001/{c}_cropped_rgb001.jpg" for c in "ABC"]
PRCC += [f"rgb/test/{c}/010/cropped_rgb00{i}.jpg" for c in "ABC" for i in (1, 2)]


@pytest.fixture
def root(tmp_path):
    for key in PRCC:
        (tmp_path / "prcc" / key).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 40), (200, 150, 100)).save(tmp_path / "prcc" / key)
        labels = np.zeros((40, 20), np.uint8)
        labels[2:10, 6:14], labels[10:24, 4:16], labels[24:38, 5:15] = 1, 2, 5
        write_label_png(
            tmp_path / "schp" / key[:-4] / ".." / f"{key.rsplit('/', 1)[1][:-4]}.png", labels, scheme=PASCAL7
        )
    return tmp_path / "prcc"


def run(*arguments):
    result = CliRunner().invoke(app, ["-q", *map(str, arguments)])
    if isinstance(result.exception, UnveilError):
        raise result.exception
    return result


def test_from_the_maps_of_another_tool_to_occ_prcc(tmp_path, root):
    maps = tmp_path / "schp"
    imported = run("parse", f"prcc:{root}", "--maps", maps, "--scheme", "pascal7", "--out", root)
    assert imported.exit_code == 0 and "all 9 found" in imported.output
    built = run(
        "occlude", "--like", "occ-prcc", root, tmp_path / "occ_prcc", "--present-only", "--parser", "schp pascal"
    )
    assert built.exit_code == 0 and "9 images; 0 untouched" in built.output
    twin = prcc.read_occ(tmp_path / "occ_prcc")
    assert [s.key for s in twin.samples] == [s.key for s in prcc.read(root).samples]
    assert (np.asarray(Image.open(twin.samples[0].path)).max(axis=2) < 40).any()


def test_blocks_need_no_maps(tmp_path, root):
    built = run("occlude", f"prcc:{root}", tmp_path / "out", "--style", "blocks", "--ratio", 0.5)
    assert "occluded on average" in built.output and "9 images; 0 untouched" in built.output


def test_a_scheme_that_would_choose_nothing_is_refused(tmp_path, root):
    maps = tmp_path / "schp"
    run("parse", f"prcc:{root}", "--maps", maps, "--scheme", "pascal7", "--out", tmp_path / "tree")
    words = ("occlude", f"prcc:{root}", tmp_path / "out", "--scheme", "pascal7")
    with pytest.raises(DataError, match="give its root with --parsing"):
        run(*words)
    assert not (tmp_path / "out").exists()
    assert run(*words, "--parsing", tmp_path / "tree").exit_code == 0


def test_wrong_use_is_said(tmp_path, root):
    with pytest.raises(DataError, match="needs parsing maps"):
        run("occlude", f"prcc:{root}", tmp_path / "out")
    with pytest.raises(DataError, match="did you mean 'torso'"):
        run("occlude", f"prcc:{root}", tmp_path / "out", "--component", "torsoe")
    with pytest.raises(UnveilError, match="either --model"):
        run("parse", f"prcc:{root}", "--out", tmp_path / "maps", "--maps", root, "--model", root / "card.json")


def test_data_check_names_maps_that_do_not_fit(tmp_path, root):
    run("parse", f"prcc:{root}", "--maps", tmp_path / "schp", "--scheme", "lip20", "--out", root)
    bad = root / "parsing" / "lip20" / f"{PRCC[0]}.png"
    write_label_png(bad, np.zeros((40, 21), np.uint8), scheme=LIP20)
    result = run("data", "check", f"prcc:{root}?parsing={root}")
    assert result.exit_code == 1
    assert "parsing maps that cannot be used: 1" in result.output and "is 20x40" in result.output


def test_the_published_sets_take_no_maps_that_lack_components(tmp_path, root):
    """LIP's maps would never show an upper arm, and leave a fifth of the crops untouched."""
    run("parse", f"prcc:{root}", "--maps", tmp_path / "schp", "--scheme", "lip20", "--out", root)
    with pytest.raises(DataError, match=r"expected maps of pascal7 in .*pascal7, found lip20"):
        run("occlude", "--like", "occ-prcc", root, tmp_path / "out", "--parsing", root)
    with pytest.raises(DataError, match=r"maps of 'lip20' never show upper-arms"):
        run("occlude", "--like", "occ-prcc", root, tmp_path / "out", "--scheme", "lip20")
    run("parse", f"prcc:{root}", "--maps", tmp_path / "schp", "--scheme", "pascal7", "--out", root)
    assert "9 images" in run("occlude", "--like", "occ-prcc", root, tmp_path / "out").output  # pascal7 of the two


def test_without_maps_the_own_parser_makes_them_in_the_cache_and_rgb_val_is_occluded_too(tmp_path, root, monkeypatch):
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    (root / "rgb/val/001").mkdir(parents=True)
    Image.new("RGB", (20, 40), (200, 150, 100)).save(root / "rgb/val/001/A_cropped_rgb002.jpg")
    assert "10 images" in run("occlude", "--like", "occ-prcc", root, tmp_path / "out").output
    assert (tmp_path / "out/rgb/val/001/A_cropped_rgb002.jpg").is_file()
    assert len(list((tmp_path / "cache/components").rglob("*.png"))) == 10
    assert not (root / "parsing").exists()
