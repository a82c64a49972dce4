"""Open Model Zoo's models of people: addresses, sizes and digests of their ``model.yml``, release 2023.0, FP16."""

from __future__ import annotations

from typing import Any

from unveil.models.catalogue.digest import Digest
from unveil.models.catalogue.entry import VIPER, KnownModel, PublishedFile, Task

BASE = "https://storage.openvinotoolkit.org/repositories/open_model_zoo/2023.0/models_bin/1"
PAGES = "https://docs.openvino.ai/2023.3/omz_models_model"
LICENCE = "Apache-2.0"
# Two files each: size and SHA-384.
_FILES: dict[str, tuple[tuple[int, str], tuple[int, str]]] = {
    "person-reidentification-retail-0277": (
        (616140, "554b403108fea776cb54c971c4c8acfaaeaae3884b5945eefbcbad8b9ed3c84f0382cb72c666c02c07129826a668d79e"),
        (4178806, "0466aa71c44a14aa902a609c6500f4bc087cabbfa09c1e5bfb309f0a7e89fcdd9971e0359663e31803e3611bfa4d2353"),
    ),
    "person-reidentification-retail-0286": (
        (611793, "8bee621289b7b8f29ffdaf1eb86af4f0b9bd3077d134676f2f53c5fd86f9103405a2ce5c605f548ae9261dead48849e2"),
        (2453724, "5c53f14f0bf4c9f7cc779a0e3dd424e6226b45954706aecde9056858e1469538091d16a1763f968955f86aabf1c4f42a"),
    ),
    "person-reidentification-retail-0287": (
        (614946, "922cc5560fa298a9f02cac5bad5cbeeaee2a913ec435ae6f446d0c783936598b333c017ce1a702b605c2fd7fa33a6ee7"),
        (1181124, "ad86ea0b8661e43b01482fef63b2fe423ec9df8e55f6283f28c01094223f7731e4d60de5700036e6a2df7ebae0f5012d"),
    ),
    "person-reidentification-retail-0288": (
        (614533, "18814c6445b35224987bc44bcbdb47da6c3826e5da0b6aa00a88c06bf71491a8c4f42e1f62424c077cce46e76a41f7a2"),
        (364098, "0a5ca9d000ce63b078149a3aa3993cd6e92d52fdecf1ff58fbe717481c2043db348938c32fed964846817dc321825a4c"),
    ),
    "person-detection-0200": (
        (254619, "654a515935f6dffc0440cffdeeb6a889bc25bf5d64e425ce2337070cdbcce1b1fbbcf42e4b2761265eb65ec07c1cd6f7"),
        (3634654, "10b6f79b495ad1ef13748938c452379c6b6cd825d11426ffa68be3eeed6c48a0af04e0b913c843e6e7431aa1c13f5471"),
    ),
    "person-detection-0201": (
        (254808, "942e46956337770c06bde6a96a40c34eca97fb5c210171bc61477bccdedccc574b1654740dd947d1f611ed4979c5f2a4"),
        (3634654, "3840ca7a33d20c665dbe295b81e2eaacdb7e123e83c7fa547ae888c8ca15fbcd1a2f5f0d28ca043b870df0a9fb994ecb"),
    ),
    "person-detection-0202": (
        (254889, "7746ed6534bb59c9d16e7af4dbcbc768772288d48aca7e081c059eb1924ea956c67f23381a860a0bf0e187d66b7f1955"),
        (3634654, "2a149bc8c2f02965c59a998d7ca7868e4ba537c223ae492a8a177386f98997d8c15204f1c7fe847a51c660d9d4116d10"),
    ),
    "person-detection-0203": (
        (1216181, "086b17b4fc8b5454e4c892bbc26cdd120b517f89a86eab7ba6bb2a0e4ed5437cd011e65c299b89346f62538cbcc7b735"),
        (3902528, "906e38b168001ab43117c6cc5a737e5d596d4aae441ca93dc5ea22411d6808fb63c61666bc626411c6cc60fd603ebab8"),
    ),
    "person-detection-retail-0013": (
        (571233, "99ad3d4580a0123bef05ff77b6f46ccec16de974d1f5699fb94cd842e3242c6aa641f4977f9a5bb2f0fab42fe51cbb63"),
        (1445734, "a67422e3b5ec76057651d2a0237eab862de00e968c7eef1e5f333849ae64f91900bcd30a23e1b7dbaa07313e358759b9"),
    ),
    "pedestrian-detection-adas-0002": (
        (308923, "f5fed243fa69ae9151a632e5b495854f71863e249217a0bc5899e486017358098e7220f0540973a894476dbadf905d55"),
        (2330176, "c4635a4bfc7e2d10fdb6e6e192bba63d0aba9d78360aa05539f00e07307c5fd0e5a2e0b0dbac17f8157a187816bd6742"),
    ),
}  # fmt: skip
_RAW = {"channels": "bgr", "scale": 1.0, "interpolation": "linear"}
_REID = _RAW | {"height": 256, "width": 128, "metric": "cosine", "output": "reid_embedding"}


def _model(name: str, task: Task, *, about: str, card: dict[str, Any], **told: Any) -> KnownModel:
    files = tuple(
        PublishedFile(f"{BASE}/{name}/FP16/{name}{suffix}", size, Digest("sha384", digits), f"{name}{suffix}")
        for suffix, (size, digits) in zip((".xml", ".bin"), _FILES[name], strict=True)
    )
    page = f"{PAGES}_{name.replace('-', '_')}"
    return KnownModel(name, task, about, files, card, LICENCE, page, **told)


def _ssd(height: int, width: int, *, person: int) -> dict[str, Any]:
    return _RAW | {"decoder": "ssd", "height": height, "width": width, "person": [person]}


MODELS = (
    _model(
        "person-reidentification-retail-0277", "reid", about="the most accurate of four; 2.1 M parameters", card=_REID,
        claims="Market-1501 Rank-1 96.2, mAP 87.7", measured={VIPER: "Rank-1 72.0, mAP 79.8"},
    ),
    _model(
        "person-reidentification-retail-0286", "reid", about="1.2 M parameters", card=_REID,
        claims="Market-1501 Rank-1 94.8, mAP 83.7",
    ),
    _model(
        "person-reidentification-retail-0287", "reid", about="0.6 M parameters", card=_REID,
        claims="Market-1501 Rank-1 92.9, mAP 76.6",
    ),
    _model(
        "person-reidentification-retail-0288", "reid", about="the fastest of four; 0.2 M parameters", card=_REID,
        claims="Market-1501 Rank-1 86.1, mAP 58.9", measured={VIPER: "Rank-1 45.0, mAP 54.1"},
    ),
    _model("person-detection-0200", "detector", about="people, 256 x 256",
        card=_ssd(256, 256, person=0), claims="AP 0.240", rank=20),
    _model("person-detection-0201", "detector", about="people, 384 x 384",
        card=_ssd(384, 384, person=0), claims="AP 0.298", rank=40),
    _model("person-detection-0202", "detector", about="people, 512 x 512",
        card=_ssd(512, 512, person=0), claims="AP 0.322", rank=50),
    _model(
        "person-detection-0203", "detector", about="people, 864 x 480",
        card=_RAW | {"decoder": "ready", "height": 480, "width": 864, "person": [0, 1], "overlap": 0.6},
        claims="AP 0.408", rank=90,
    ),
    _model(
        "person-detection-retail-0013", "detector", about="people, 544 x 320", card=_ssd(320, 544, person=1),
        claims="AP 0.886 (own set)", rank=60,
    ),
    _model(
        "pedestrian-detection-adas-0002", "detector", about="pedestrians from a car, 672 x 384",
        card=_ssd(384, 672, person=1),
        claims="AP 0.88 (own set)", rank=30,
    ),
)  # fmt: skip
