"""Every benchmark with its exact filename pattern, as small as a protocol allows: names, and lists beside them."""

from __future__ import annotations

from dataclasses import dataclass, field

BOXES = """bounding_box_train/0001_c1{x}1.jpg bounding_box_train/0001_c2{x}2.jpg bounding_box_train/0002_c1{x}3.jpg
query/0005_c1{x}4.jpg query/0006_c2{x}5.jpg bounding_box_test/0005_c2{x}6.jpg bounding_box_test/0006_c1{x}7.jpg"""


@dataclass(frozen=True)
class Miniature:
    """A benchmark.

    Args:
        root: folder that holds it.
        names: its images, below the root.
        lists: files beside them, by name.
        strange: an image name outside the filename pattern, in a folder that is read; empty where the reader follows
        lists.
        twin: one of the names with another suffix; empty where the reader follows lists.
        needed: a folder without which the archive was not extracted whole.
    """

    root: str
    names: tuple[str, ...]
    lists: dict[str, str] = field(default_factory=dict)
    strange: str = ""
    twin: str = ""
    needed: str = "query"


def _of(root: str, names: str, **more: object) -> Miniature:
    return Miniature(root, tuple(names.split()), **more)  # type: ignore[arg-type]


_PRCC = """rgb/train/001/A_cropped_rgb001.jpg rgb/train/001/B_cropped_rgb001.jpg rgb/train/001/C_cropped_rgb001.jpg
rgb/test/A/010/cropped_rgb001.jpg rgb/test/A/011/cropped_rgb001.jpg rgb/test/B/010/cropped_rgb001.jpg
rgb/test/C/010/cropped_rgb001.jpg rgb/test/C/011/cropped_rgb001.jpg"""
_LTCC = """train/001_1_c1_000001.png train/001_2_c3_000002.png query/094_1_c9_015833.png
test/094_2_c3_000002.png test/095_1_c9_000005.png"""
_PEOPLE = range(1, 9)

MINIATURES = {
    "market1501": _of("Market-1501-v15.09.15", BOXES.format(x="s1_00000"), strange="query/copy.jpg",
                      twin="query/0005_c1s1_000004.png"),
    "dukemtmc": _of("DukeMTMC-reID", BOXES.format(x="_f000000"), strange="query/copy.jpg",
                    twin="query/0005_c1_f0000004.png"),
    "occluded_duke": _of("Occluded_Duke", BOXES.format(x="_f000000"), strange="query/copy.jpg",
                         twin="query/0005_c1_f0000004.png"),
    "cuhk03": _of("labeled", BOXES.format(x="_").replace(".jpg", ".png"), strange="query/copy.png",
                  twin="query/0005_c1_4.jpg"),
    "occluded_reid": _of("Occluded_REID", """occluded_body_images/001/001_01.tif occluded_body_images/002/002_01.tif
        whole_body_images/001/001_01.tif whole_body_images/002/002_01.tif""",
        strange="occluded_body_images/001/copy.tif", twin="whole_body_images/001/001_01.png",
        needed="whole_body_images"),
    "p_dukemtmc": _of("P-DukeMTMC-reid", """train/occluded_body_images/1/0001_c1.jpg
        train/whole_body_images/1/0001_c2.jpg test/occluded_body_images/7/0007_a.jpg
        test/whole_body_images/7/0007_b.jpg""", strange="test/occluded_body_images/7/copy.jpg",
        twin="test/whole_body_images/7/0007_b.png", needed="test/whole_body_images"),
    "partial_reid": _of("Partial_REID", """partial_body_images/001_001.jpg partial_body_images/002_001.jpg
        whole_body_images/001_001.jpg whole_body_images/002_001.jpg""", strange="partial_body_images/copy.jpg",
        twin="whole_body_images/001_001.png", needed="whole_body_images"),
    "partial_ilids": _of("Partial_iLIDS", "Probe/1.jpg Probe/2.jpg Gallery/1.jpg Gallery/2.jpg",
                         strange="Probe/copy.jpg", twin="Gallery/1.png", needed="Gallery"),
    "nkup": _of("NKUP", """bounding_box_train/0001_D0903_C01S01_00001.jpg query/0005_D0912_C03S01_00151.jpg
        bounding_box_test/0005_D1001_C15S02_00001.jpg""", strange="query/copy.jpg",
        twin="query/0005_D0912_C03S01_00151.png"),
    "celeb_reid": _of("Celeb-reID", "train/1_1_0.jpg query/2_1_0.jpg gallery/2_10_3.jpg", strange="query/copy.jpg",
                      twin="query/2_1_0.png"),
    "prcc": _of("prcc", _PRCC, strange="rgb/test/B/010/copy.jpg", twin="rgb/test/B/010/cropped_rgb001.png",
                needed="rgb/test/C"),
    "occ_prcc": _of("occ_prcc", _PRCC, strange="rgb/test/B/010/copy.jpg", twin="rgb/test/B/010/cropped_rgb001.png",
                    needed="rgb/test/C"),
    "ltcc": _of("LTCC_ReID", _LTCC, strange="query/copy.png", twin="query/094_1_c9_015833.jpg"),
    "occ_ltcc": _of("Occ_LTCC", _LTCC, strange="query/copy.png", twin="query/094_1_c9_015833.jpg"),
    "vc_clothes": _of("VC-Clothes", """train/0001-01-01-01.jpg query/0300-03-01-00.jpg gallery/0300-04-02-01.jpg
        gallery/0300-02-01-01.jpg""", strange="query/copy.jpg", twin="query/0300-03-01-00.png"),
    "last": _of("last", """train/000001/000001_film_12_3.jpg val/query/000010_a_1.jpg
        val/gallery/000010/000010_a_2.jpg test/query/000020_a_1.jpg test/gallery/000020/000020_b_2.jpg""",
        strange="test/query/copy.jpg", twin="test/query/000020_a_1.png", needed="test/query"),
    "deepchange": _of("DeepChangeDataset", """train-set/P1_C01_200101_1.jpg test-set-query/P7_C02_200101_1.jpg
        test-set-gallery/P7_C02_200101_3.jpg test-set-gallery/P7_C02_200505_4.jpg""", lists={
            "train-set-bbox.txt": "P1_C01_200101_1.jpg,1",
            "test-set-query-bbox.txt": "P7_C02_200101_1.jpg,5",
            "test-set-gallery-bbox.txt": "P7_C02_200101_3.jpg,6\nP7_C02_200505_4.jpg,7",
        }, strange="test-set-query/copy.jpg", needed="test-set-query"),
    "msmt17": _of("MSMT17_V1", """train/0000/0000_000_01_0303morning_0008_0.jpg
        test/0000/0000_000_14_0303evening_0001_0.jpg test/0000/0000_001_02_0303evening_0001_0.jpg""", lists={
            "list_train.txt": "0000/0000_000_01_0303morning_0008_0.jpg 0", "list_val.txt": "",
            "list_query.txt": "0000/0000_000_14_0303evening_0001_0.jpg 0",
            "list_gallery.txt": "0000/0000_001_02_0303evening_0001_0.jpg 0",
        }, needed="test/0000"),
    "ccvid": _of("CCVID", " ".join(f"{t}/0000{i}.jpg" for i in (0, 1) for t in (
        "session1/001_01", "session1/002_01", "session2/002_01", "session3/002_01")), lists={
            "train.txt": "session1/001_01\t001\tu1_l1", "query.txt": "session1/002_01\t002\tu1_l1",
            "gallery.txt": "session2/002_01\t002\tu2_l1\nsession3/002_01\t002\tu1_l1",
        }, needed="session2/002_01"),
    "viper": _of("VIPeR", " ".join(f"cam_{s}/{p:03d}_{a}.bmp" for p in _PEOPLE for s, a in (("a", 0), ("b", 90))),
                 strange="cam_a/copy.bmp", twin="cam_a/001_0.png",
                 needed="cam_b"),
    "prid": _of("prid_2011", " ".join(f"single_shot/cam_{s}/person_{p:04d}.png" for p in _PEOPLE for s in "ab"),
                strange="single_shot/cam_a/copy.png", twin="single_shot/cam_a/person_0001.jpg",
                needed="single_shot/cam_b"),
    "grid": _of("underground_reid", " ".join(f"{f}/{p:04d}_{c}_25004_107_32_106_221.jpeg" for p in _PEOPLE
                                             for f, c in (("probe", 1), ("gallery", 8)))
                + " gallery/0000_5_1_1_1_1_1.jpeg gallery/0000_5_2_1_1_1_1.jpeg",
                strange="probe/copy.jpeg", twin="probe/0001_1_25004_107_32_106_221.png", needed="probe"),
    "ilids": _of("i-LIDS_Pedestrian", " ".join(f"Persons/{p:04d}{i:03d}.jpg" for p in _PEOPLE for i in (1, 2, 3)),
                 strange="Persons/copy.jpg", needed="Persons"),
    "caviar": _of("CAVIAR4REID", " ".join(f"CAVIARa/{p:04d}{i:03d}.jpg" for p in range(1, 5) for i in range(1, 21)),
                  strange="CAVIARa/copy.jpg", needed="CAVIARa"),
    "3dpes": _of("3DPeS", " ".join(f"RGB/{p}_{s}_FRAME_{f}_RGB.bmp" for p in _PEOPLE for s in (1, 2) for f in (1, 2)),
                 strange="RGB/copy.bmp", twin="RGB/1_1_FRAME_1_RGB.png", needed="RGB"),
}  # fmt: skip
