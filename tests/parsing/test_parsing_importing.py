"""Files of other tools into the project's tree, and the errors on the way."""

import numpy as np
import pytest
from PIL import Image

from unveil.data.parsing_tree import attach_parsing
from unveil.errors import DataError
from unveil.label_sets import LIP20
from unveil.parsing.check import check_parsing
from unveil.parsing.formats.schp import write_label_png
from unveil.parsing.importing import import_maps
from unveil.records import Dataset, Sample


def make(root, keys):
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 8)).save(root / key)
    return Dataset("tiny", tuple(Sample(key, path=root / key) for key in keys))


def labels(tree, scheme, key):
    return np.asarray(Image.open(tree / "parsing" / scheme / f"{key}.png"))


def test_flat_schp_maps(tmp_path):
    dataset = make(tmp_path, ["train/a.jpg", "query/b.jpeg"])
    write_label_png(tmp_path / "schp" / "a.png", np.full((8, 4), 19, np.uint8), scheme=LIP20)
    share = import_maps(dataset, tmp_path / "schp", kind="schp", root=tmp_path / "out", scheme="lip20")
    assert share.missing == ("query/b.jpeg",)
    # SCHP drops four characters, so b.jpeg becomes "b..png".
    write_label_png(tmp_path / "schp" / "b..png", np.full((8, 4), 3, np.uint8), scheme=LIP20)
    assert not import_maps(dataset, tmp_path / "schp", kind="schp", root=tmp_path / "out", scheme="lip20").missing
    assert (labels(tmp_path / "out", "lip20", "query/b.jpeg") == 3).all()
    assert check_parsing(attach_parsing(dataset, tmp_path / "out")[0]) == []


def test_maps_are_held_against_images_as_they_are_decoded(tmp_path):
    """Turned as EXIF data says, and never decoded when a file says that it has 400 megapixels."""
    dataset = make(tmp_path, ["a.jpg"])
    write_label_png(tmp_path / "maps" / "a.png", np.zeros((8, 4), np.uint8), scheme=LIP20)
    import_maps(dataset, tmp_path / "maps", kind="schp", root=tmp_path / "out", scheme="lip20")
    dataset = attach_parsing(dataset, tmp_path / "out")[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert check_parsing(dataset) == []
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.jpg", "PNG")
    assert [problem.partition("a.jpg: ")[2][:9] for problem in check_parsing(dataset)] == ["too large"]


def test_flat_names_that_two_images_share_are_refused_unless_mirrored(tmp_path):
    dataset = make(tmp_path, ["A/1/x.jpg", "B/1/x.jpg"])
    write_label_png(tmp_path / "schp" / "x.png", np.zeros((8, 4), np.uint8), scheme=LIP20)
    with pytest.raises(DataError, match=r"2 images of 'tiny' would take this map, A/1/x\.jpg"):
        import_maps(dataset, tmp_path / "schp", kind="schp", root=tmp_path / "out", scheme="lip20")
    for number, folder in enumerate("AB", 1):
        write_label_png(tmp_path / "schp" / folder / "1" / "x.png", np.full((8, 4), number, np.uint8), scheme=LIP20)
    import_maps(dataset, tmp_path / "schp", kind="schp", root=tmp_path / "out", scheme="lip20")
    assert (labels(tmp_path / "out", "lip20", "B/1/x.jpg") == 2).all()


def test_fields_and_probabilities(tmp_path):
    dataset = make(tmp_path, ["train/7/a.jpg"])
    fields = np.zeros((36, 2, 1), np.float32)
    fields[0, 0] = fields[14, 1] = 1
    (tmp_path / "masks" / "train").mkdir(parents=True)
    np.save(tmp_path / "masks/train/a.jpg.confidence_fields.npy", fields)
    import_maps(dataset, tmp_path / "masks", kind="fields", root=tmp_path / "out")
    assert labels(tmp_path / "out", "pab6", "train/7/a.jpg").tolist() == [[1] * 4] * 4 + [[6] * 4] * 4
    np.save(tmp_path / "masks/a.npy", np.eye(6)[np.full((256, 128), 3)])
    import_maps(dataset, tmp_path / "masks", kind="pixel_sampling", root=tmp_path / "out")
    assert (labels(tmp_path / "out", "ps6", "train/7/a.jpg") == 3).all()


def test_bad_input_is_said(tmp_path):
    dataset = make(tmp_path, ["a.jpg"])
    (tmp_path / "schp").mkdir()
    for kind, scheme, message in (
        ("shcp", "lip20", "did you mean 'schp'"),
        ("schp", None, "say which one"),
        ("schp", "lip20", "no map of kind 'schp' for any image"),
    ):
        with pytest.raises(DataError, match=message):
            import_maps(dataset, tmp_path / "schp", kind=kind, root=tmp_path / "out", scheme=scheme)
    write_label_png(tmp_path / "schp" / "a.png", np.zeros((8, 5), np.uint8), scheme=LIP20)
    with pytest.raises(DataError, match=r"a\.png: the map is 5x8 but its image a\.jpg is 4x8"):
        import_maps(dataset, tmp_path / "schp", kind="schp", root=tmp_path / "out", scheme="lip20")
    with pytest.raises(DataError, match="no such folder"):
        import_maps(dataset, tmp_path / "nowhere", kind="schp", root=tmp_path / "out", scheme="lip20")
