"""Detectors: known boxes through every decoder and back, real ONNX graphs, cards, and the HOG on rendered people."""

from __future__ import annotations

import json
from itertools import chain

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from unveil.atomic_io import sha256
from unveil.errors import CheckpointError, DataError
from unveil.runtime.preprocessing import to_input
from unveil.video.card import FAMILIES, DetectorCard
from unveil.video.detectors import detr, ssd, yolov8, yolox
from unveil.video.detectors import postprocessed as ready
from unveil.video.detectors.default import DEFAULT_CARD
from unveil.video.detectors.detect import load_detector

SIDE = 64
TRUE = np.array([[8.0, 4, 24, 44], [29, 10, 49, 60], [32, 12, 51, 61]])  # the last two overlap by more than 0.65
SCORES = np.array([0.9, 0.6, 0.8])


def card(decoder: str, **changes) -> DetectorCard:
    fields = {"model": "m.onnx", "decoder": decoder, "width": SIDE, "height": SIDE, "licence": "test"}
    return DetectorCard.model_validate(fields | FAMILIES[decoder] | changes)


def yolox_answer(boxes: np.ndarray, scores: np.ndarray, person: int = 0, classes: int = 3) -> np.ndarray:
    """Write boxes into the grid of stride 8 and nothing elsewhere, cell by cell."""
    answer = np.zeros((1, sum((SIDE // s) ** 2 for s in (8, 16, 32)), 5 + classes), np.float32)
    for box, score in zip(boxes, scores, strict=True):
        cx, cy, w, h = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]
        column, row = int(cx // 8), int(cy // 8)
        cell = answer[0, row * (SIDE // 8) + column]
        cell[:5] = cx / 8 - column, cy / 8 - row, np.log(w / 8), np.log(h / 8), 1.0
        cell[5 + person] = score
        cell[5 + (person + 1) % classes] = 0.99
    return answer


def centred(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def answers(decoder: str) -> list[np.ndarray]:
    """What a model of that family answers for the true boxes, its second class saying something else."""
    other = np.full(3, 0.99)
    if decoder == "yolox":
        return [yolox_answer(TRUE, SCORES)]
    if decoder == "yolov8":
        filler = np.zeros((9, 6))  # more cells than columns, as in every real one
        rows = np.concatenate([centred(TRUE), SCORES[:, None], other[:, None]], axis=1)
        return [np.concatenate([rows, filler]).T[None].astype(np.float32)]
    if decoder == "detr":
        logits = np.log(np.stack([SCORES, other], axis=1) / (1 - np.stack([SCORES, other], axis=1)))
        return [logits[None].astype(np.float32), (centred(TRUE) / SIDE)[None].astype(np.float32)]
    if decoder == "ssd":
        rows = np.concatenate([np.zeros((3, 1)), np.ones((3, 1)), SCORES[:, None], TRUE / SIDE], axis=1)
        another = [0, 2, 0.99, 0, 0, 1, 1]  # of another class
        end = [-1, 0, 0, 0, 0, 0, 0]
        stale = [0, 1, 0.95, 0.1, 0.1, 0.9, 0.9]  # after the end: what the memory held before
        return [np.concatenate([rows, [another, end, stale]])[None, None].astype(np.float32)]
    labels = np.array([[0, 0, 0, 1]])
    boxes = np.concatenate([TRUE, TRUE[:1] + 1])
    return [labels, boxes[None].astype(np.float32), np.append(SCORES, 0.99)[None].astype(np.float32)]


DECODE = {
    "yolox": yolox.decode, "yolov8": yolov8.decode, "detr": detr.decode, "ssd": ssd.decode, "ready": ready.decode
}  # fmt: skip


@pytest.mark.parametrize("decoder", DECODE)
def test_decoders_read_boxes_and_person_scores(decoder):
    boxes, scores = DECODE[decoder](answers(decoder), card(decoder))
    rows = np.flatnonzero(scores > 0.1)
    order = rows[np.argsort(boxes[rows, 0])]
    assert np.allclose(boxes[order], TRUE, atol=1e-3)
    assert np.allclose(scores[order], SCORES, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.floats(4, 60), st.floats(4, 60), st.floats(2, 40), st.floats(2, 40), st.floats(0.11, 1), st.integers(0, 2))
def test_a_yolox_box_survives_the_way_into_the_grid_and_back(cx, cy, w, h, score, person):
    box = np.array([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]])
    boxes, scores = yolox.decode([yolox_answer(box, np.array([score]), person)], card("yolox", person=[person]))
    best = int(scores.argmax())
    assert np.allclose(boxes[best], box, atol=1e-2) and scores[best] == pytest.approx(score, abs=1e-5)
    assert (scores > 0).sum() == 1


def test_softmax_leaves_no_object_out():
    logits = np.array([[[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]])
    boxes = np.full((1, 3, 4), 0.5)
    _, scores = detr.decode([logits, boxes], card("detr", activation="softmax"))
    assert scores == pytest.approx([1 / 3, 1.0, 0.0], abs=1e-3)


@pytest.mark.parametrize("decoder", DECODE)
def test_an_answer_of_another_family_is_one_error(decoder):
    with pytest.raises(DataError, match=r"m\.onnx: expected"):
        DECODE[decoder]([np.zeros((1, 5, 7, 9), np.float32)], card(decoder))


def write_model(folder, decoder: str, **changes):
    """Write a real ONNX graph that answers the same for every image, with its card; return the card's path."""
    shape = [1, 3, SIDE, SIDE] if changes.get("layout", "nchw") == "nchw" else [1, SIDE, SIDE, 3]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)]
    if changes.get("sizes"):
        inputs.append(helper.make_tensor_value_info(changes["sizes"], TensorProto.INT64, [1, 2]))
    arrays = answers(decoder)
    nodes = [
        helper.make_node("Constant", [], [f"o{k}"], value=numpy_helper.from_array(np.ascontiguousarray(a), f"c{k}"))
        for k, a in enumerate(arrays)
    ]
    outputs = [
        helper.make_tensor_value_info(f"o{k}", helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for k, a in enumerate(arrays)
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "m.onnx")
    fields = {"model": "m.onnx", "decoder": decoder, "width": SIDE, "height": SIDE, "licence": "test", **changes}
    (folder / "m.json").write_text(json.dumps(fields))
    return folder / "m.json"


@pytest.mark.parametrize("decoder", DECODE)
def test_a_model_is_run_and_its_boxes_are_brought_back_to_the_frame(tmp_path, decoder):
    detector = load_detector(write_model(tmp_path, decoder, overlap=0.65))
    frame = np.zeros((SIDE * 2, SIDE * 4, 3), np.uint8)  # twice as wide as high
    boxes = detector.detect(frame)
    assert [b.score for b in boxes] == pytest.approx([0.9, 0.8], abs=1e-3), "the double of 0.6 is gone, best first"
    fit = detector.card.fit
    scale = (4, 2) if fit == "stretch" else (4, 4)
    above = SIDE // 4 if fit == "centre" else 0  # padded pixels above the frame, where this box begins
    left, top, right, bottom = (TRUE[0] - (0, above, 0, above)) * (scale * 2)
    inside = (left, max(0, top), right - left, min(bottom, SIDE * 2) - max(0, top))
    assert boxes[0][:4] == pytest.approx(inside, abs=0.5)


def test_boxes_in_pixels_of_the_frame_are_left_as_they_are(tmp_path):
    detector = load_detector(write_model(tmp_path, "ready", sizes="orig"))
    found = detector.detect(np.zeros((200, 300, 3), np.uint8))
    assert found[0][:4] == (8, 4, 16, 40) and len(found) == 3


def test_the_pixels_reach_the_model_as_the_card_says(tmp_path):
    frame = np.zeros((32, 64, 3), np.uint8)
    frame[..., 0] = 200
    tensor = to_input([frame], card("yolox"))
    assert tensor.shape == (1, 3, SIDE, SIDE)
    assert tensor[0, :, 5, 5].tolist() == [0, 0, 200] and tensor[0, :, 40, 5].tolist() == [114, 114, 114]
    tensor = to_input([frame], card("yolov8", layout="nhwc", mean=(0.5, 0, 0), std=(0.5, 1, 1)))
    assert tensor.shape == (1, SIDE, SIDE, 3) and tensor[0, 15, 5, 1] == pytest.approx(114 / 255), "padded above"
    assert tensor[0, 20, 5] == pytest.approx([(200 / 255 - 0.5) / 0.5, 0, 0], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "expected a card"),
        ('{"decoder": "yolo"}', "decoder"),
        ('{"model": "m.onnx", "decoder": "yolox", "width": 64, "height": 64, "size": 3}', "size"),
        ('{"model": "other.onnx", "decoder": "yolox", "width": 64, "height": 64}', "does not exist"),
        ('{"model": "m.onnx", "decoder": "yolox", "width": 64, "height": 64, "sha256": "00"}', "SHA-256"),
    ],
)
def test_a_wrong_card_is_one_error(tmp_path, text, message):
    write_model(tmp_path, "yolox")
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        load_detector(tmp_path / "m.json")


def test_a_model_is_named_by_its_card_and_needs_one(tmp_path):
    path = write_model(tmp_path, "yolox", sha256=None)
    assert load_detector(tmp_path / "m.onnx").name == f"m.onnx@{sha256(tmp_path / 'm.onnx')[:12]}"
    path.unlink()
    with pytest.raises(CheckpointError, match="needs a card"):
        load_detector(tmp_path / "m.onnx")


def test_a_model_that_refuses_its_input_or_is_none_is_one_error(tmp_path):
    path = write_model(tmp_path, "yolov8", layout="nchw")
    path.write_text(path.read_text().replace('"height": 64', '"height": 32'))
    with pytest.raises(CheckpointError, match=r"takes images \(1, 3, 64, 64\) float32 and refuses"):
        load_detector(path).detect(np.zeros((10, 10, 3), np.uint8))
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="not a model that ONNX Runtime can load"):
        load_detector(path)


def test_the_hog_finds_most_rendered_people_and_nobody_in_an_empty_room():
    from unveil.world.config import preset
    from unveil.world.video import render_frames

    detector = load_detector(None)
    assert detector.detect(np.full((540, 960, 3), 127, np.uint8)) == []
    assert detector.detect(np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)) == []
    found = whole = 0
    somebody = (1, 2, 5, 6, 7)  # cameras before which somebody is in these frames
    for image, rows in chain.from_iterable(render_frames(preset("tiny"), camera, frames=6) for camera in somebody):
        boxes = detector.detect(image)
        for _, x, y, w, h, visible in rows:
            if float(visible) > 0.9 and w > 0.3 * h and x > 5:
                whole += 1
                found += any(_iou((x, y, w, h), box) > 0.5 for box in boxes)
    assert whole > 20 and found >= whole / 2


def test_the_packages_own_finds_most_rendered_people_and_is_sure_of_nobody_in_an_empty_room():
    from unveil.world.capture.frames import scene_frames

    detector = load_detector(DEFAULT_CARD, 1)
    for empty in (np.full((270, 480, 3), 127), np.random.default_rng(3).integers(0, 256, (270, 480, 3))):
        assert not [box for box in detector.detect(empty.astype(np.uint8)) if box.score >= detector.high]
    found = whole = 0
    for frame in scene_frames(90, 7, shots=2):
        boxes = [box for box in detector.detect(frame.image) if box.score >= detector.high]
        for (left, top, right, bottom), visible in zip(frame.boxes.tolist(), frame.visible, strict=True):
            if visible > 0.9 and bottom - top > 60:
                whole += 1
                found += any(_iou((left, top, right - left, bottom - top), box) > 0.5 for box in boxes)
    assert whole >= 3 and found >= whole / 2


def _iou(a, b) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
