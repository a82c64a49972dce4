import warnings

import pytest
import torch
import torch.nn.functional as F
from clothes_batches import batch, make, normalised, raw, unlabelled

from unveil.errors import DataError, RecipeError
from unveil.losses.cross_clothes_triplet import cross_clothes_triplet
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods import method_settings
from unveil.methods.inference import embed_batches
from unveil.methods.method import Step
from unveil.methods.tables.cre import ABLATIONS
from unveil.nn.attention.body_shape_attention import BodyShapeAttention
from unveil.records import UNLABELLED


def with_maps(seed=1):
    return unlabelled(seed).replace(parsing=raw(seed).parsing)


def test_erasure_is_equation_1_on_twice_the_batch():
    crops = raw()
    twice = make("cre").expand_batch(crops)
    assert len(twice) == 16 and twice.images.dtype == torch.uint8
    assert torch.equal(twice.images[:8], crops.images)
    for i in range(8):
        for y in range(0, 64, 4):
            for x in range(0, 32, 4):
                pixel = crops.images[i, :, y, x]
                expected = torch.zeros_like(pixel) if crops.parsing[i, y, x].item() in (2, 3, 4) else pixel
                assert torch.equal(twice.images[8 + i, :, y, x], expected)
    for name in ("persons", "clothes", "parsing"):
        assert torch.equal(getattr(twice, name), torch.cat([getattr(crops, name)] * 2))
    assert make("cre", cre=False).expand_batch(crops) is crops


def test_erased_copies_may_count_as_other_outfits():
    clothes = make("cre", erased_clothes="distinct").expand_batch(raw()).clothes
    assert torch.equal(clothes[8:], clothes[:8] + 8)
    unknown = make("cre", erased_clothes="distinct", metric_loss="tri").expand_batch(raw().replace(clothes=None))
    assert unknown.clothes is None and len(unknown) == 16


@pytest.mark.parametrize("metric_loss", ["none", "tri", "bctri"])
def test_losses_are_equations_6_to_8(metric_loss):
    method = make("cre", metric_loss=metric_loss, w_metric=0.5, margin=0.8).eval()
    crops = batch(method)
    with torch.no_grad():
        terms = method.losses(crops, Step())
        low = {}
        method.backbone(crops.images, {"layer2": lambda x: low.setdefault("x", x)})
        gated = method.attention(low["x"], crops.parsing != 0)
        features = method.neck(method.backbone.layer4(method.backbone.layer3(gated)).mean(dim=(2, 3)))
        expected = {"id": F.cross_entropy(method.classifier(features), crops.persons)}
        if metric_loss == "tri":
            expected["tri"] = 0.5 * batch_hard_triplet(features, crops.persons, margin=0.8, distance="cosine")
        if metric_loss == "bctri":
            expected["bctri"] = 0.5 * cross_clothes_triplet(features, crops.persons, clothes=crops.clothes, margin=0.8)
            assert terms["bctri"] > 0
    assert terms.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(terms[key], value, msg=key)


def test_the_outline_matters_and_nothing_else_of_the_map():
    method = make("cre").eval()
    for parameter in method.attention.parameters():
        torch.nn.init.normal_(parameter)
    crops = with_maps()
    with torch.no_grad():
        vectors = method.embed(crops).vectors
        same = method.embed(crops.replace(parsing=(crops.parsing != 0).to(torch.uint8) * 5)).vectors
        other = method.embed(crops.replace(parsing=(crops.parsing == 0).to(torch.uint8))).vectors
    assert torch.equal(vectors, same) and not torch.allclose(vectors, other)


def test_a_missing_map_is_a_body_everywhere_and_warned_of_once():
    method = make("cre").eval()
    full = unlabelled().replace(parsing=torch.ones(8, 64, 32, dtype=torch.uint8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        found = embed_batches(method, [unlabelled(), unlabelled()], flip=False)
    assert [str(w.message)[:27] for w in caught] == ["crops without parsing maps:"]
    expected = embed_batches(method, [full, full], flip=False)
    assert (found.vectors == expected.vectors).all()


def test_one_missing_map_leaves_the_maps_of_the_others_alone():
    method = make("cre").eval()
    for parameter in method.attention.parameters():
        torch.nn.init.normal_(parameter)
    crops = with_maps()
    parsing = crops.parsing.clone()
    parsing[2] = UNLABELLED
    with pytest.warns(UserWarning, match="without parsing maps"):
        found = embed_batches(method, [crops.replace(parsing=parsing)]).vectors
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = embed_batches(method, [crops]).vectors
    parsing[2] = 1
    expected[2] = embed_batches(method, [crops.replace(parsing=parsing)]).vectors[2]
    assert (found == expected).all()


def test_the_mirrored_crop_has_its_mirrored_map():
    method = make("cre").eval()
    for parameter in method.attention.parameters():
        torch.nn.init.normal_(parameter)
    crops = with_maps()
    flipped = crops.replace(images=crops.images.flip(-1), parsing=crops.parsing.flip(-1))
    with torch.no_grad():
        both = method.embed(crops).vectors + method.embed(flipped).vectors
    found = torch.from_numpy(embed_batches(method, [crops]).vectors)
    torch.testing.assert_close(found, F.normalize(both, dim=2))


def test_needs_follow_the_settings():
    def needs(**settings):
        found = make("cre", **settings).requirements
        return found.train_parsing, found.train_clothes, found.test_parsing

    assert needs() == ("cre7", True, "cre7")
    assert needs(cre=False) == ("cre7", True, "cre7")
    assert needs(attention="se", metric_loss="tri") == ("cre7", False, None)
    assert needs(cre=False, attention="none", metric_loss="none") == (None, False, None)


def test_missing_inputs_are_named():
    bare = raw().replace(parsing=None)
    with pytest.raises(DataError, match="CRE erases"):
        make("cre").expand_batch(bare)
    with pytest.raises(DataError, match="BSGA trains"):
        make("cre", cre=False).losses(normalised(bare), Step())
    with pytest.raises(DataError, match="outfit"):
        make("cre").losses(normalised(raw().replace(clothes=None)), Step())
    with pytest.raises(RecipeError, match="attention"):
        make("cre", attention="pyramid")


def test_defaults_are_the_papers():
    settings = method_settings("cre", {})
    assert (settings.margin, settings.w_metric, settings.smoothing) == (0.3, 1.0, 0.0)
    for table, row in (("table4", 5), ("table5", 6), ("table6", 2)):
        assert method_settings("cre", dict(ABLATIONS[table].rows[row].settings)) == settings
    assert isinstance(make("cre").attention, BodyShapeAttention)
    assert ABLATIONS["table4"].rows[2].figures[2:4] == ABLATIONS["table5"].rows[0].figures[:2]
    assert ABLATIONS["table4"].rows[4].figures[2] == ABLATIONS["table6"].rows[0].figures[0]
