"""``splits=N`` in a source."""

import pytest

from unveil.datasets import load_dataset
from unveil.datasets.splits import hash_of, load_splits, sources_of
from unveil.errors import DataError
from unveil.recipe import DataSource


def source(text):
    return DataSource.model_validate(text)


@pytest.mark.parametrize("name", ["viper", "prid", "grid", "ilids", "caviar", "3dpes"])
def test_ten_splits_are_the_readers_own(tmp_path, put, name):
    root = put(name, tmp_path)
    splits = load_splits(source(f"{name}:{root}?splits=10"))
    assert [s.hash for s in splits] == [load_dataset(source(f"{name}:{root}?split={n}")).hash for n in range(10)]
    assert len({s.hash for s in splits}) > 1
    assert hash_of(splits) not in {s.hash for s in splits} and hash_of(splits[:1]) == splits[0].hash
    assert hash_of(splits) != hash_of(splits[::-1])


def test_other_options_stay_and_no_option_is_one_source():
    sources = sources_of(source("viper:/x?splits=3&parsing=/p"))
    assert [str(s) for s in sources] == [f"viper:/x?parsing=/p&split={n}" for n in range(3)]
    assert sources_of(source("viper:/x?split=4")) == (source("viper:/x?split=4"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("viper:/x?splits=11", "1 to 10"),
        ("viper:/x?splits=0", "1 to 10"),
        ("viper:/x?splits=all", "1 to 10"),
        ("viper:/x?splits=2&split=1", "not both"),
        ("market1501:/x?splits=2", "'market1501' has no numbered splits"),
        ("manifest:/x?splits=2", "'manifest' has no numbered splits"),
    ],
)
def test_wrong_splits_are_said(text, message):
    with pytest.raises(DataError, match=message):
        sources_of(source(text))


def test_training_on_a_mean_is_refused(tmp_path, put):
    with pytest.raises(DataError, match="name one split"):
        load_dataset(source(f"viper:{put('viper', tmp_path)}?splits=10"))
