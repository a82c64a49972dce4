from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from untrained import make_model
from unveil.attributes.records import Attribute, Attributes
from unveil.data.images import read_image
from unveil.errors import DataError, UnveilError
from unveil.gallery.output.distances import read_distances
from unveil.gallery.output.heat_map import heat_map
from unveil.gallery.output.report import report_dict, write_report
from unveil.gallery.output.timeline import (
    CameraTransition,
    candidates,
    duration,
    impossible,
    iso,
    sightings,
    time_text,
    transitions,
)
from unveil.gallery.records import Item
from unveil.gallery.search.records import Hit, SearchResult
from unveil.inference.backends.pytorch import torch_engine
from unveil.models.checkpoint import load_model
from unveil.models.summary import ModelIdentity
from unveil.records import Embedding


def jpeg(colour, size=(64, 128)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def hit(n, camera, time, distance=None, **fields):
    item = Item(f"key{n}", "crop", jpeg((40 * n, 90, 160)), camera=camera, time=time, id=n, **fields)
    return Hit(item, 0.1 * n if distance is None else distance, None, {"head": 0.2, "torso": 0.5}, f"reason {n}")


HITS = (
    hit(1, "gate", 1.7e9 + 60),
    hit(2, "yard", 1.7e9, end=1.7e9 + 20, attributes=Attributes(upper_colour=Attribute({"blue": 0.8}, 0.9))),
    hit(3, "gate", 1.7e9 + 200, source="=cmd|x", tags=("a", "b"), box=(1, 2, 3, 4)),
    hit(4, "yard", 1.7e9 + 500, distance=0.9),
    hit(5, None, None),
)
FOUND = SearchResult(
    HITS, True, True, 5, 9, 12.0, "a" * 16, notes=("First note.",), threshold=0.5,
    protocol={"filters": "camera <gate>"}, model=ModelIdentity("b" * 16, "shop model", "Apache-2.0"),
)  # fmt: skip


def ids(hits):
    return [hit.item.id for hit in hits]


def test_sightings_are_matches_and_confirmed_rows_in_order_of_time_and_never_all_results():
    assert ids(sightings(FOUND)) == [2, 1, 3]
    assert ids(sightings(replace(FOUND, threshold=None))) == []
    assert ids(sightings(replace(FOUND, threshold=None, confirmed=(4, 1)))) == [1, 4]
    assert ids(sightings(replace(FOUND, threshold=0.15, confirmed=(4,)))) == [1, 4]
    assert ids(candidates(FOUND)) == [2, 1, 3, 4]


def test_transitions_count_changes_of_camera_from_the_end_of_one_to_the_start_of_the_next():
    assert transitions(sightings(FOUND)) == [CameraTransition("yard", "gate", 1, 40.0)]
    more = transitions(candidates(FOUND))
    assert more == [CameraTransition("yard", "gate", 1, 40.0), CameraTransition("gate", "yard", 1, 300.0)]
    assert transitions([]) == []


def test_sightings_at_two_cameras_at_once_or_too_far_apart_are_flagged():
    seen = [
        hit(1, "gate", 100.0, end=130.0),
        hit(2, "yard", 110.0, end=120.0),
        hit(3, "hall", 140.0),
        hit(4, "hall", 141),
    ]
    found = impossible(seen)
    assert [(w.first.item.id, w.second.item.id, w.seconds) for w in found] == [(1, 2, -20.0)]
    assert found[0].words == "at yard 20 s before gate was left"
    far = {frozenset(("gate", "hall")): 50.0, frozenset(("yard", "hall")): 50.0}
    found = impossible(seen[:1] + seen[2:], distances=far)
    assert [(w.first.item.id, w.second.item.id) for w in found] == [(1, 3), (1, 4)]
    assert found[0].words == "50 m from gate to hall in 10 s"
    assert impossible(seen[1:], distances=far) == [], "20 s are enough for 50 m"
    assert impossible([hit(1, "gate", 0.0, end=10.5), hit(2, "yard", 10.0)]) == [], "clocks differ by as much"
    assert impossible([hit(1, "gate", 0.0, end=90.0), hit(2, "gate", 10.0)]) == [], "one camera"


def test_times_of_two_recordings_are_neither_compared_nor_joined(tmp_path, monkeypatch):
    seen = [
        hit(1, "gate", 0.0, end=90.0, source="monday.mp4"),
        hit(2, "yard", 5.0, end=12.0, source="tuesday.mp4"),
        hit(3, "hall", 100.0, source="monday.mp4"),
        hit(4, "gate", 1.7e9, source="a.jpg"),
        hit(5, "yard", 1.7e9 + 10, source="b.jpg"),
    ]
    far = {frozenset(pair): 1e6 for pair in (("gate", "yard"), ("gate", "hall"), ("yard", "hall"))}
    assert [(w.first.item.id, w.second.item.id) for w in impossible(seen, distances=far)] == [(1, 3), (4, 5)]
    assert transitions(seen) == [CameraTransition("gate", "hall", 1, 10.0), CameraTransition("gate", "yard", 1, 10.0)]
    lines = []
    plot = Axes.plot
    monkeypatch.setattr(
        Axes, "plot", lambda self, x, *y, **k: lines.append(k.get("lw") == 1 and x) or plot(self, x, *y, **k)
    )
    write_report(replace(FOUND, hits=tuple(seen)), [], path=tmp_path / "r.html")
    assert [line for line in lines if line] == [[1.7e9, 1.7e9 + 10], [0.0, 100.0], [5.0]]


def test_a_page_without_sure_sightings_shows_a_scatter_and_no_transitions(tmp_path):
    write_report(replace(FOUND, threshold=None, calibrated=False, match=None), [], path=tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "all results, whoever they show" in text and "From camera to camera" not in text
    told = report_dict(replace(FOUND, threshold=None))
    assert told["sightings"] == told["transitions"] == told["impossible"] == []


def test_moments_are_dates_only_where_they_are():
    assert time_text(1.7e9) == "2023-11-14 22:13:20"
    assert (time_text(3725.4), time_text(65), time_text(None)) == ("1:02:05", "01:05", "")
    assert duration(-30) == "-00:30"


def test_exported_times_are_iso_8601_too_where_they_are_dates(tmp_path):
    assert iso(1.7e9 + 0.25) == "2023-11-14T22:13:20.250+00:00"
    assert iso(65.0) is None and iso(None) is None
    assert datetime.fromisoformat(iso(1.7e9)).timestamp() == 1.7e9
    write_report(FOUND, [], path=tmp_path / "r.csv")
    rows = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert rows[1]["time_iso"] == "2023-11-14T22:13:20.000+00:00" and rows[1]["end_iso"].endswith("22:13:40.000+00:00")
    assert rows[4]["time_iso"] == rows[0]["end_iso"] == ""
    write_report(FOUND, [], path=tmp_path / "r.html")
    assert "UTC where they are dates" in (tmp_path / "r.html").read_text()


def test_json_has_protocol_hits_and_transitions(tmp_path):
    write_report(FOUND, [], path=tmp_path / "r.json")
    told = json.loads((tmp_path / "r.json").read_text())
    assert told == json.loads(json.dumps(report_dict(FOUND)))
    assert told["model"] == {"name": "shop model", "fingerprint": "b" * 16, "licence": "Apache-2.0"}
    assert told["protocol"] == {"filters": "camera <gate>"}
    assert [row["rank"] for row in told["hits"]] == [1, 2, 3, 4, 5]
    assert told["hits"][2]["parts"] == {"head": 0.2, "torso": 0.5}
    assert told["transitions"][0] == {"start": "yard", "end": "gate", "times": 1, "fastest": 40.0}
    assert "thumbnail" not in (tmp_path / "r.json").read_text()


def test_csv_is_no_formula(tmp_path):
    write_report(FOUND, [], path=tmp_path / "r.csv")
    rows = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert [row["id"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert (rows[2]["source"], rows[2]["tags"], rows[2]["box"]) == ("'=cmd|x", "a;b", "1 2 3 4")
    assert rows[0]["part torso"] == "0.5"
    assert [row["looks"] for row in rows] == ["", "blue top", "", "", ""]


def test_the_page_says_everything_and_needs_nothing_else(tmp_path):
    pytest.importorskip("jinja2", reason="the extra report is not installed")
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    write_report(FOUND, [np.full((128, 64, 3), 90, np.uint8)], path=tmp_path / "r.html", title="Where")
    text = (tmp_path / "r.html").read_text()
    for words in ("First note.", "reason 3", "camera &lt;gate&gt;", "a" * 16, "From camera to camera", "blurred"):
        assert words in text
    assert text.count("data:image/jpeg") == 6
    assert text.count("data:image/png") == 1  # the timeline
    assert "http://" not in text and "https://" not in text
    nothing = replace(FOUND, hits=(), match=False, notes=("No row passes the filters.",))
    write_report(nothing, [], path=tmp_path / "n.html")
    assert "No match" in (tmp_path / "n.html").read_text()
    with pytest.raises(UnveilError, match=r"\.html, \.csv or \.json"):
        write_report(FOUND, [], path=tmp_path / "r.pdf")


def test_a_pages_images_are_blurred_unless_it_is_asked_not_to(tmp_path, monkeypatch):
    pytest.importorskip("jinja2", reason="the extra report is not installed")
    monkeypatch.setattr("unveil.gallery.output.report.face_parser", lambda: None)
    stripes = np.zeros((128, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    out = io.BytesIO()
    Image.fromarray(stripes).save(out, "PNG")
    shown = replace(FOUND, hits=(replace(HITS[0], item=replace(HITS[0].item, thumbnail=out.getvalue(), time=None)),))

    def contrast(blur_faces):
        write_report(shown, [stripes], path=tmp_path / "r.html", blur_faces=blur_faces)
        import base64
        import re

        found = re.findall(r"data:image/jpeg;base64,([^\"]+)", (tmp_path / "r.html").read_text())
        return [float(read_image(base64.b64decode(data))[:20].std()) for data in found]

    plain, hidden = contrast(False), contrast(True)
    assert len(plain) == len(hidden) == 2
    assert min(plain) > 80
    assert max(hidden) < 25


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return torch_engine(load_model(make_model(tmp_path_factory.mktemp("m"), "histogram", height=64, width=32)))


def test_heat_is_where_the_likeness_is(engine):
    """Query and crop agree in the colours of the upper half only, so covering the lower half costs nothing."""
    query, crop = np.zeros((64, 32, 3), np.uint8), np.zeros((128, 64, 3), np.uint8)
    query[:32], crop[:64] = (200, 30, 30), (200, 30, 30)
    query[32:], crop[64:] = (30, 200, 30), (30, 30, 200)
    heat = heat_map(engine, engine.embed([query]), image=crop)
    assert heat.shape == (128, 64) and heat.dtype == np.float32
    assert heat.max() == 1 and heat.min() == 0
    assert heat[:48].mean() > 20 * heat[80:].mean() + 0.2


def test_heat_of_what_is_hidden_is_nothing(engine):
    query = engine.embed([np.zeros((64, 32, 3), np.uint8)])
    hidden = Embedding(query.vectors, 0 * query.visibility, query.names, query.metric, query.weights)
    assert not heat_map(engine, hidden, image=np.zeros((9, 9, 3), np.uint8)).any()
    with pytest.raises(ValueError, match="at least 3 cells"):
        heat_map(engine, query, image=np.zeros((9, 9, 3), np.uint8), cells=(2, 8))


def test_distances_are_read_from_a_table_and_reach_the_report(tmp_path):
    table = tmp_path / "apart.csv"
    table.write_text("from,to,metres\nyard,gate,5000\ngate,hall,10.5\n")
    apart = read_distances(table)
    assert apart == {frozenset(("yard", "gate")): 5000.0, frozenset(("gate", "hall")): 10.5}
    write_report(FOUND, [], path=tmp_path / "r.json", distances=apart)
    told = json.loads((tmp_path / "r.json").read_text())["impossible"]
    assert [(one["first"], one["second"]) for one in told] == [(2, 1), (2, 3)]
    write_report(FOUND, [], path=tmp_path / "r.html", distances=apart)
    assert "Not one person" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("from,to\na,b\n", "missing: metres"), ("from,to,metres\na,a,1\n", "line 2"),
        ("from,to,metres\na,b,x\n", "line 2"),
        ("from,to,metres\na,b,-1\n", "line 2"), ("from,to,metres\na,b,1\nb,a,2\n", "line 3.*two distances"),
    ],
)  # fmt: skip
def test_a_table_of_distances_that_makes_no_sense_is_refused_by_its_line(tmp_path, text, told):
    table = tmp_path / "apart.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=told):
        read_distances(table)
