"""A watch-list over real films and a real stream that dies: alerts, cool-down, false alarms to expect, webhooks."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stored import SPACE, embedding
from typer.testing import CliRunner

from films import FigureDetector, breaking, write_film
from generated import figure
from unveil.cli import app
from unveil.errors import DataError
from unveil.gallery.alert_records import Alert, WatchEntry
from unveil.gallery.case_records import NewQuery
from unveil.gallery.ingest.adding import open_gallery
from unveil.gallery.records import Filter, GalleryInfo, Item
from unveil.gallery.scoring.calibration import stored
from unveil.gallery.scoring.fitting import Pairs, calibrate
from unveil.gallery.scoring.ranking import rank
from unveil.gallery.watching.watch_list import WatchList, calibrated_threshold, expected_false_alarms
from unveil.gallery.watching.watcher import Watcher, WatchSettings
from unveil.gallery.watching.webhook import Webhook
from unveil.inference.load import load_engine
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import new_model, save_model
from unveil.recipe import load_recipe
from unveil.video.decode import Video


def entries(count: int, crops: int = 2) -> list[WatchEntry]:
    all_crops = embedding(count * crops)
    return [WatchEntry(f"e{n}", all_crops.select(slice(n * crops, (n + 1) * crops)), "a" * 16) for n in range(count)]


@pytest.mark.parametrize("mode", ["same", "changed"])
def test_a_list_of_500_finds_for_each_who_passes_the_entries_within_the_threshold(mode):
    crops = embedding(1007)
    listed = [WatchEntry(f"e{n}", crops.select(slice(2 * n, 2 * n + 2)), "a" * 16) for n in range(500)]
    seen = crops.select(slice(1000, 1007))
    found = WatchList(listed, 0.4, mode=mode).matches(seen)
    for column, near in enumerate(found):
        one = seen.select(slice(column, column + 1))
        wanted = []
        for number, entry in enumerate(listed):
            distance = float(
                rank(entry.embedding, one, top=1, groups=np.zeros(2, int), negatives=None, mode=mode)[1][0, 0]
            )
            if distance <= 0.4:
                wanted.append((number, distance))
        assert [n for n, _ in near] == [n for n, _ in sorted(wanted, key=lambda pair: pair[1])]
        assert [d for _, d in near] == pytest.approx(sorted(d for _, d in wanted), abs=1e-6)
    assert any(found)


def test_what_is_no_list_is_refused():
    with pytest.raises(DataError, match="1 to 500 entries, got 501"):
        WatchList(entries(501, 1), 0.4)
    with pytest.raises(DataError, match="got 0"):
        WatchList([], 0.4)
    with pytest.raises(DataError, match="two entries are called 'e0'"):
        WatchList([*entries(2), *entries(1)], 0.4)
    with pytest.raises(DataError, match="1 to 64 images, got 65"):
        WatchEntry("x", embedding(65), "a")


def calibrated(false_alarms: float, *, searches: bool):
    r = np.random.default_rng(1)
    distances = np.concatenate([r.normal(0.2, 0.05, 200), r.normal(0.7, 0.1, 400)]).clip(0)
    same = np.arange(600) < 200
    impostors = r.normal(0.5, 0.05, 300) if searches else None
    return calibrate(Pairs(distances, same, np.arange(600) % 50, impostors), false_alarms=false_alarms)


def test_the_false_alarms_to_expect_follow_from_the_rate_of_the_calibration():
    info = GalleryInfo("shop", SPACE, crops=400, tracklets=100, start=1.7e9, end=1.7e9 + 20 * 3600)
    pairs = expected_false_alarms(info, calibrated(0.02, searches=False), entries=500)
    assert pairs.per_hundred == pytest.approx(100 * 500 * 0.02)
    assert (pairs.people_per_hour, pairs.per_hour) == (pytest.approx(5), pytest.approx(5 * 500 * 0.02))
    assert str(pairs) == (
        "about 1e+03 false alarms for each 100 people who pass and are not on the list; at 5 people an hour, as the "
        "gallery has them, 50 an hour"
    )
    searches = expected_false_alarms(info, calibrated(0.05, searches=True), entries=3)
    pair = 1 - 0.95 ** (1 / 100)
    assert searches.of_pair == pytest.approx(pair) and 1 - (1 - pair) ** 100 == pytest.approx(0.05)
    assert searches.per_hour == pytest.approx(5 * 3 * pair)
    recording = GalleryInfo("shop", SPACE, crops=10, start=0.0, end=50.0)
    untimed = expected_false_alarms(recording, calibrated(0.05, searches=True), entries=3)
    assert untimed.per_hour is None and "an hour" not in str(untimed)


def test_without_a_calibration_nobody_is_watched():
    with pytest.raises(DataError, match=r"missing for the mode 'same'.*unveil gallery calibrate shop"):
        calibrated_threshold(GalleryInfo("shop", SPACE), "same")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model without training that tells figures apart by the colours of their stripes."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    recipe = load_recipe(None, ["method.name=histogram", "input.height=128", "input.width=64"])
    save_model(path, new_model(recipe, LabelSpace(2)), card=Card(recipe=recipe.model_dump(mode="json"), persons=2))
    return path


@pytest.fixture(scope="module")
def engine(model):
    return load_engine(model, "torch")


def entry_of(engine, number: int) -> WatchEntry:
    return WatchEntry(f"p{number}", engine.embed([figure(number, 0, 0, 60, 24)]), f"hash{number}")


def watched(engine, video, listed, **settings):
    alerts: list[Alert] = []
    events: list[tuple[str, dict]] = []
    watcher = Watcher(
        listed, engine, detector=FigureDetector(), parser=None, settings=WatchSettings("gate", **settings),
        calibration=None, raise_alert=alerts.append, tell=lambda event, told: events.append((event, told)),
    )  # fmt: skip
    with video:
        counts = watcher.watch(video)
    return alerts, events, counts


def test_who_is_on_the_list_raises_an_alert_and_who_is_not_does_not(engine, tmp_path):
    film = write_film(tmp_path / "film.mp4", frames=120, people=3)  # p0, p1, p2 at 0, 3 and 6 s
    listed = WatchList([entry_of(engine, n) for n in (1, 7)], 0.08)
    alerts, events, counts = watched(engine, Video(film), listed, fps=10)
    assert [alert.entry for alert in alerts] == ["p1"] and counts.people == 3
    [alert] = alerts
    assert 3.0 <= alert.time <= 7.0 and alert.camera == "gate" and alert.distance <= 0.08
    assert alert.image[:2] == b"\xff\xd8" and alert.query == "hash1" and alert.probability is None
    assert [event for event, _ in events] == ["connected", "ended"]
    assert alert.time < 6.0, "it is raised while the person is still in sight, not when the track has ended"


def test_an_entry_is_quiet_while_it_cools_down(engine, tmp_path):
    twice = write_film(tmp_path / "twice.mp4", frames=80, people=1)
    first, _, counts = watched(engine, Video(twice), WatchList([entry_of(engine, 0)], 0.08), fps=10, cool_down=0.0)
    assert len(first) == 1 and counts.alerts == 1  # one track, one alert, however often it is compared
    film = write_film(tmp_path / "film.mp4", frames=200, people=6)
    everybody = [WatchEntry("anybody", engine.embed([figure(n, 0, 0, 60, 24) for n in range(6)]), "h")]
    loose = WatchList(everybody, 2.0)
    many, _, _ = watched(engine, Video(film), loose, fps=10, cool_down=0.0)
    few, _, counts = watched(engine, Video(film), loose, fps=10, cool_down=8.0)
    assert len(many) == 6 and 1 < len(few) < 6
    assert counts.held_back == 5, "all but the first came while it cooled down; each counts once, alert or not"
    times = [alert.time for alert in few]
    assert min(np.diff(times)) >= 8.0


def test_who_comes_while_an_entry_cools_down_and_stays_raises_an_alert_afterwards(engine, tmp_path):
    film = write_film(tmp_path / "film.mp4", frames=70, people=2)  # from 0 and 3 s on, each for 3.3 s
    anybody = [WatchEntry("anybody", engine.embed([figure(n, 0, 0, 60, 24) for n in range(2)]), "h")]
    alerts, _, counts = watched(engine, Video(film), WatchList(anybody, 2.0), fps=10, cool_down=4.0)
    assert len(alerts) == counts.alerts == 2 and counts.held_back == 1
    assert alerts[0].time < 1.0 and 4.0 <= alerts[1].time - alerts[0].time < 6.5


def test_what_was_removed_is_asked_for_every_minute_and_who_is_left_is_looked_for(engine, tmp_path, monkeypatch):
    film = write_film(tmp_path / "film.mp4", frames=60, people=1)
    listed = [entry_of(engine, n) for n in (0, 7, 8)]
    asked = []

    def without(entries):
        asked.append([entry.name for entry in entries])
        return [entry for entry in entries if entry.name != "p7"]

    monkeypatch.setattr("unveil.gallery.watching.watcher.ASK_AGAIN", np.inf)
    watched(engine, Video(film), WatchList(listed[1:], 0.08, without_removed=without), fps=10)
    assert asked == [], "nobody on the list was seen"
    alerts, events, counts = watched(engine, Video(film), WatchList(listed, 0.08, without_removed=without), fps=10)
    assert asked[0] == ["p0", "p7", "p8"] and all(names == ["p0", "p8"] for names in asked[1:])
    assert [alert.entry for alert in alerts] == ["p0"] and counts.removed == 1
    assert events[1] == ("removed", {"entry": "p7", "crops_left": 0})
    asked.clear()
    monkeypatch.setattr("unveil.gallery.watching.watcher.ASK_AGAIN", 0.0)
    watched(engine, Video(film), WatchList(listed[1:], 0.08, without_removed=without), fps=10)
    assert len(asked) > 2 and asked[:2] == [["p7", "p8"], ["p8"]]
    _, events, counts = watched(engine, Video(film), WatchList([listed[1]], 0.08, without_removed=without), fps=10)
    assert counts.frames == 1 and "all rows of the list were removed" in events[-1][1]["why"]


def test_a_stream_that_dies_is_opened_again_and_it_is_said(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)  # this camera sends faster than any
    film = write_film(tmp_path / "film.ts", frames=60, people=1, codec="mpeg2video")
    lost = []
    with breaking(film, 2) as address:
        video = Video(address, waits=(0.1, 0.2), broke=lambda words, wait: lost.append(wait))
        alerts, events, counts = watched(engine, video, WatchList([entry_of(engine, 0)], 0.1), cool_down=0.0)
    assert counts.breaks == 1 and [event for event, _ in events] == ["connected", "reconnected", "ended"]
    assert lost[0] == 0.1 and 0.2 in lost, "the waits grow while it stays away"
    assert [alert.entry for alert in alerts] == ["p0", "p0"], "whoever comes after the break is another track"
    assert "tries to open it again" in events[-1][1]["why"]


class Receiver:
    """A real server that gets alerts: it answers with the codes that it is given, then 200."""

    def __init__(self, *codes: int) -> None:
        self.got: list[dict] = []
        codes_left = list(codes)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                code = codes_left.pop(0) if codes_left else 200
                if code == 200:
                    outer.got.append(body)
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook?secret=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.mark.parametrize(
    ("codes", "delivered"), [((), True), ((500, 503), True), ((500,) * 9, False), ((302,) * 9, False)]
)
def test_a_webhook_is_tried_again_and_then_said_to_have_failed(codes, delivered):
    receiver, failed = Receiver(*codes), []
    hook = Webhook(receiver.address, failed.append, waits=(0.01, 0.02, 0.03))
    hook.send({"entry": "p1"})
    hook.send({"entry": "p2"})
    deadline = time.monotonic() + 30
    while len(receiver.got) + len(failed) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    hook.close()
    receiver.server.shutdown()
    assert receiver.got == ([{"entry": "p1"}, {"entry": "p2"}] if delivered else [])
    assert len(failed) == (0 if delivered else 2) and not any("secret" in words for words in failed)
    with pytest.raises(DataError, match="http:// or https://"):
        Webhook("file:///etc/passwd", failed.append)


@pytest.fixture
def talker():
    """Return a function that listens, answers each request with these bytes, or never, and returns its address."""
    servers = []

    def listen(answer: bytes) -> str:
        servers.append(server := socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            with contextlib.suppress(OSError):
                while answer:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/hook?secret=1"

    yield listen
    for server in servers:
        server.close()


def test_a_webhook_lives_on_after_an_answer_that_is_not_http(talker, capfd):
    failed = []
    hook = Webhook(talker(b"SSH-2.0-secret=1\r\n"), failed.append, waits=())
    hook.send({"entry": "p1"})
    hook.send({"entry": "p2"})
    hook.close()
    said = "an alert was not delivered to http://127.0.0.1: HTTP failed: BadStatusLine"
    assert failed == [said, said] and "secret" not in "".join(capfd.readouterr())


def test_a_webhook_is_closed_in_time_though_nobody_answers_and_nothing_more_can_wait(talker, monkeypatch):
    monkeypatch.setattr("unveil.gallery.watching.webhook.MAX_WAITING", 1)
    monkeypatch.setattr("unveil.gallery.watching.webhook.LAST_SECONDS", 0.1)
    failed = []
    hook = Webhook(talker(b""), failed.append, waits=())
    for number in range(4):
        hook.send({"entry": f"p{number}"})
    hook.close()
    assert failed[-1] == "http://127.0.0.1 is too slow: alerts that wait for it are not delivered"


@pytest.fixture
def watching(store, address, engine, model, tmp_path, monkeypatch):
    """Return what runs `unveil watch` over a film of two people in a calibrated gallery: its result."""
    monkeypatch.setenv("UNVEIL_STORE", address)
    open_gallery(store, "shop", engine=engine)
    store.set_calibration("shop", stored(store.info("shop"), "same", calibration=calibrated(0.05, searches=True)))
    film = write_film(tmp_path / "film.mp4", frames=90, people=2)
    for n in (0, 5):
        Image.fromarray(figure(n, 0, 0, 60, 24)).save(tmp_path / f"p{n}.png")
    (tmp_path / "list.csv").write_text("name,path\nann,p0.png\nbob,p5.png\n")
    monkeypatch.setattr("unveil.video.detectors.detect.load_detector", lambda path: FigureDetector())

    def run(*words, code=0):
        found = CliRunner().invoke(
            app, ["-q", "watch", str(film), "--gallery", "shop", "--model", str(model), "--engine", "torch",
                  "--skip-person-check", "--camera", "gate", "--fps", "10", *map(str, words)],
        )  # fmt: skip
        assert found.exit_code == code or isinstance(found.exception, DataError), (found.output, found.exception)
        return found

    return run


def test_the_command_says_what_to_expect_first_then_alerts_and_enters_them(watching, store, tmp_path):
    receiver = Receiver()
    found = watching("--list", tmp_path / "list.csv", "--webhook", receiver.address, "--why", "a theft")
    receiver.server.shutdown()
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    alerts = [line for line in lines if line["event"] == "alert"]
    assert "2 entries; about" in found.stderr and "false alarms for each 100 people" in found.stderr
    assert "ann" in {alert["entry"] for alert in alerts} and "image" not in alerts[0]
    assert [kept.alert.entry for kept in store.alerts.newest("shop")][::-1] == [alert["entry"] for alert in alerts]
    assert store.alerts.newest("shop")[0].alert.image[:2] == b"\xff\xd8"
    assert [got["entry"] for got in receiver.got] == [alert["entry"] for alert in alerts]
    entries_of = [e for e in store.entries("shop") if e["action"] in ("watch", "alert")]
    assert [e["action"] for e in entries_of] == ["watch", *["alert"] * len(alerts), "watch"]
    assert entries_of[0]["why"] == "a theft" and entries_of[-1]["details"]["alerts"] == len(alerts)
    store.set_retention("shop", 1.0)
    store.expire("shop", store.alerts.newest("shop")[0].raised + 2)
    assert store.alerts.newest("shop") == []


def test_alerts_of_a_case_go_when_a_row_that_its_search_names_is_deleted(watching, store, engine, jpeg):
    store.add("shop", [Item("p0", "crop", jpeg, "elsewhere.mp4")], embedding=engine.embed([figure(0, 0, 0, 60, 24)]))
    [row] = store.ids("shop", Filter()).tolist()
    case = store.cases.create("a theft", "ann").id
    store.cases.add_query(case, "shop", query=NewQuery("the coat", {}, "c" * 16, positives=(row,)), who="ann")
    watching("--case", "a theft")
    assert {kept.alert.query for kept in store.alerts.newest("shop")} == {"c" * 16}
    store.delete("shop", Filter(ids=(row,)))
    assert store.alerts.newest("shop") == []


@pytest.mark.parametrize("left", ["nothing", "a row", "the gallery is dropped"])
def test_nobody_is_looked_for_by_a_row_that_was_deleted_while_it_watched(
    watching, store, engine, jpeg, monkeypatch, left
):
    open_gallery(store, "yard", engine=engine)
    numbers = (0, 7) if left == "a row" else (0,)
    items = [Item(f"p{n}", "crop", jpeg, "elsewhere.mp4") for n in numbers]
    store.add("yard", items, embedding=engine.embed([figure(n, 0, 0, 60, 24) for n in numbers]))
    ids = store.ids("yard", Filter()).tolist()
    case = store.cases.create("a theft", "ann").id
    store.cases.add_query(case, "yard", query=NewQuery("the coat", {}, "c" * 16, positives=tuple(ids)), who="ann")
    deleted = []

    def delete():
        if not deleted:
            deleted.append(store.drop("yard") if "dropped" in left else store.delete("yard", Filter(ids=(ids[0],))))

    monkeypatch.setattr("unveil.video.detectors.detect.load_detector", lambda path: FigureDetector(delete))
    if left == "a row":  # two rows together are near to nobody who passes, so no alert asks for them
        monkeypatch.setattr("unveil.gallery.watching.watcher.ASK_AGAIN", 0.0)
    found = watching("--case", "a theft", "--threshold", "0.05")
    said = [json.loads(line) for line in found.stdout.splitlines()]
    assert deleted == [1] and store.alerts.newest("shop") == []
    assert [line for line in said if line["event"] == "removed"] == [
        {"event": "removed", "entry": "the coat", "crops_left": len(numbers) - 1}
    ]
    outcome = [e for e in store.entries("shop") if e["action"] == "watch"][-1]["details"]
    assert (outcome["state"], outcome["alerts"], outcome["removed"]) == ("done", 0, 2 - len(numbers))


def test_without_a_calibration_the_command_refuses_or_warns(watching, store, tmp_path):
    store.set_calibration("shop", None)
    refused = watching("--query", tmp_path / "p0.png", code=2)
    assert "the number of false alarms is not known" in str(refused.exception)
    warned = watching("--query", tmp_path / "p0.png", "--threshold", "0.05", "--dry-run")
    assert "how many false alarms to expect is not known" in warned.stderr and not warned.stdout
    nobody = watching("--threshold", "0.05", code=2)
    assert "nobody to watch for" in str(nobody.exception)
