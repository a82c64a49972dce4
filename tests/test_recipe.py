import pytest

from unveil.errors import RecipeError
from unveil.recipe import DataSource, load_recipe, recipe_from, save_recipe


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
