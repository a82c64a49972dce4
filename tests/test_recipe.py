import pytest

from unveil.errors import RecipeError
from unveil.recipe import DataSource, load_recipe, recipe_from, save_recipe
from unveil.source_text import is_override


def test_overrides_reach_nested_keys_and_methods_keep_their_own_settings():
    recipe = load_recipe(
        None, ["train.epochs=3", "method.name=oc4", "method.k=6", "data.train=viper:/a?split=2,folder:/b"]
    )
    assert recipe.train.epochs == 3
    assert recipe.method.settings == {"k": 6}
    assert [str(s) for s in recipe.data.train] == ["viper:/a?split=2", "folder:/b"]


def test_a_resolved_recipe_reads_back_as_itself(tmp_path):
    recipe = load_recipe(None, ["input.height=128", "data.test=viper:/data/viper?split=9"])
    path = tmp_path / "recipe.yaml"
    path.write_text(save_recipe(recipe))
    assert load_recipe(path) == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", "unknown key 'train.epoch' (did you mean 'epochs'?)"),
        ("optm.lr=3", "unknown key 'optm' (did you mean 'optim'?)"),
        ("input.height=3", "input.height"),
        ("augment.flip=2", "augment.flip"),
        ("train.epochs", "expected key=value"),
        ("data.train=[{name: x, rot: /a}]", "did you mean 'root'?"),
        ("sampler.kind=pk", "sampler.kind"),
    ],
)
def test_a_wrong_override_is_named(override, message):
    with pytest.raises(RecipeError) as error:
        load_recipe(None, [override])
    assert message in str(error.value)


def test_the_file_is_named_in_the_error(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("train: {epohcs: 3}\n")
    with pytest.raises(RecipeError, match=r"run\.yaml: unknown key 'train\.epohcs' \(did you mean 'epochs'"):
        load_recipe(path)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "\x00"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"run\.yaml"):
        load_recipe(path)
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(tmp_path / "absent.yaml")


def test_source_text_and_mapping_are_the_same():
    text = DataSource.model_validate("prcc:/data/prcc?shots=single")
    assert text == DataSource(name="prcc", root="/data/prcc", options={"shots": "single"})
    assert DataSource.model_validate("world").root is None
    tree = {"name": "prcc", "root": "/data/prcc", "options": {"shots": "single"}}
    assert recipe_from({"data": {"train": [tree]}}).data.train == (text,)


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """Folders whose names hold every character that once was a language."""
    monkeypatch.chdir(tmp_path)
    for name in ("station", "station #2", "cam", "cam, a", "cam: z", "cam?x", "b=1", "cam,world", "q?a=1", "q"):
        (tmp_path / name).mkdir()
    return tmp_path


def sources(*overrides):
    return [(s.name, str(s.root), dict(s.options)) for s in load_recipe(None, overrides).data.train]


def test_a_path_on_disk_is_taken_as_it_is(odd):
    for name in ("station", "station #2", "cam", "cam, a", "cam: z", "cam?x", "b=1", "cam,world", "q?a=1"):
        assert sources(f"data.train=folder:{name}") == [("folder", name, {})]
        assert sources(f"data.train=folder:{name}?split=train") == [("folder", name, {"split": "train"})]
        assert DataSource.of(f"folder:{name}?split=train") == DataSource.of(
            str(DataSource.of(f"folder:{name}?split=train"))
        )
    both = [("folder", "station #2", {}), ("folder", "cam, a", {"split": "train"}), ("world", "tiny", {})]
    assert sources("data.train=folder:station #2, folder:cam, a?split=train,world:tiny") == both
    assert sources("data.train=folder:cam,folder:station") == [("folder", "cam", {}), ("folder", "station", {})]
    assert sources("data.train=viper:cam?split=2,folder:cam") == [
        ("viper", "cam", {"split": "2"}),
        ("folder", "cam", {}),
    ]
    assert sources("data.train=folder:q?a=2") == [("folder", "q", {"a": "2"})]
    recipe = load_recipe(None, ["backbone.init=station #2/model.safetensors"])
    assert recipe.backbone.init == "station #2/model.safetensors"
    assert load_recipe(None, ["backbone.init=null"]).backbone.init is None


def test_a_path_that_is_not_there_is_never_another(odd):
    assert sources("data.train=folder:station #3") == [("folder", "station #3", {})]
    assert sources("data.train=folder:absent, b")[0] == ("folder", "absent", {})
    assert sources("data.train=folder:absent, b")[1][0] == "b", "no dataset of that name: an error, not a folder"
    for text in ("folder:cam?y", "market1501:/data?distractors", "viper:/a?split=1&x"):
        with pytest.raises(RecipeError, match="expected option=value"):
            DataSource.of(text)


@pytest.mark.parametrize("override", ["method.name=oc4 # of 2024", "train.epochs=5 #x", "data.train=[folder:a] # b"])
def test_yaml_that_would_drop_text_is_an_error(override):
    with pytest.raises(RecipeError, match="drops what follows"):
        load_recipe(None, [override])
    assert load_recipe(None, ["method.name='a # b'"]).method.name == "a # b"
    assert load_recipe(None, ["method.name=a#b"]).method.name == "a#b"


def test_a_recipe_file_with_an_equals_sign_is_no_override(odd):
    (odd / "lr=1.yaml").write_text("train: {epochs: 3}")
    (odd / "b=1" / "r.yaml").write_text("train: {epochs: 3}")
    assert [is_override(word) for word in ("lr=1.yaml", "b=1/r.yaml", "runs/lr=1/r.yaml")] == [False] * 3
    assert is_override("train.epochs=5") and is_override("data.train=folder:/a/b=c") and is_override("method.k=")
