"""Published detectors and ReID models of others than Open Model Zoo.

Their publishers state no digests. Those here were read from several independent projects that use the files; a file
that differs is refused.
"""

from __future__ import annotations

from typing import Any

from unveil.models.catalogue.digest import Digest
from unveil.models.catalogue.entry import VIPER, KnownModel, PublishedFile

_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX"
_RTDETR = "https://huggingface.co/onnx-community/rtdetr_r18vd"
_REVISION = "ec641af14c7cc8f93cd641a1458f498abbbbb533"
_OSNET = "https://github.com/akshaydhame2001/YOLOv8_Tracking_TensorRT"
_COCO = "COCO 2017"


def _yolox(kind: str, side: int, *, size: int, sha256: str, **told: Any) -> KnownModel:
    name = f"yolox_{kind}.onnx"
    file = PublishedFile(f"{_YOLOX}/releases/download/0.1.1rc0/{name}", size, Digest("sha256", sha256), name)
    card = {"decoder": "yolox", "height": side, "width": side, "channels": "bgr", "scale": 1.0, "fit": "corner"}
    about = f"80 things, people among them; {side} x {side}"
    return KnownModel(
        f"yolox-{kind}", "detector", about, (file,), card, "Apache-2.0", _YOLOX, trained_on=_COCO, **told
    )  # fmt: skip


MODELS = (
    _yolox(
        "nano", 416, size=3_659_407, sha256="c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
        claims="COCO AP 25.8", rank=25,
    ),
    _yolox(
        "tiny", 416, size=20_219_662, sha256="427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7",
        claims="COCO AP 32.8", rank=70,
    ),
    _yolox(
        "s", 640, size=35_858_002, sha256="c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063",
        claims="COCO AP 40.5", rank=100,
    ),
    KnownModel(
        "rtdetr-r18-int8", "detector", "80 things, people among them; 640 x 640, int8",
        (
            PublishedFile(
                f"{_RTDETR}/resolve/{_REVISION}/onnx/model_quantized.onnx", 21_713_196,
                Digest("sha256", "85703b0f56dbaceb89b21122e580fd11e11a879111fd727d0e9abdaf0e3620bf"),
                "rtdetr_r18_int8.onnx",
            ),
        ),
        {"decoder": "detr", "height": 640, "width": 640, "fit": "stretch", "interpolation": "bilinear", "person": [0]},
        "Apache-2.0", _RTDETR, trained_on=_COCO, claims="COCO AP 46.5 before quantisation", rank=80,
    ),
    KnownModel(
        "osnet-x0.25-msmt17", "reid", "OSNet x0.25 of torchreid as an ONNX file; 0.2 M parameters",
        (
            PublishedFile(
                f"{_OSNET.replace('github.com', 'raw.githubusercontent.com')}/9a5b6fbdf36285fd5b384532f6c2ecd15a675ca2"
                "/osnet_x0_25_msmt17.onnx", 921_616,
                Digest("sha256", "61b2604171ef9d58d21758626f83b35a253c3d7123976523a6e03068c3c95d7b"),
                "osnet_x0_25_msmt17.onnx",
            ),
        ),
        {
            "height": 256, "width": 128, "metric": "cosine", "scale": 1 / 255, "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225], "interpolation": "bilinear",
        },
        "MIT (code); weights of research data", _OSNET, trained_on="MSMT17",
        measured={VIPER: "Rank-1 42.7, mAP 52.5"},
        restriction="its weights were trained on MSMT17, which its authors release for research only",
    ),
)  # fmt: skip
