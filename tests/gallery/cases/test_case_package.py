"""A case package of a real film: what is in it, that it is the same each time, and that no changed byte is missed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import random
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stored import SPACE, embedding

from films import box_at, walk_frame, write_film
from unveil.cli import main
from unveil.data.images import read_image
from unveil.errors import DataError, UnveilError
from unveil.gallery.case_records import NewQuery, QueryImage
from unveil.gallery.cases.log import case_entries
from unveil.gallery.cases.package import write_package
from unveil.gallery.cases.verify import verify_package
from unveil.gallery.ingest.adding import thumbnail
from unveil.gallery.records import Filter, Item
from unveil.gallery.sources.roots import SourceRoots

NUMBERS = (12, 20, 32)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def film(tmp_path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    return write_film(folder / "gate.mp4")


@pytest.fixture
def case(store, film):
    """A case with a search, three sightings on a film, notes, and searches in the log."""
    store.create("shop", SPACE)
    items = []
    for number in NUMBERS:
        x, y, w, h = box_at(0 if number < 31 else 1, number)
        crop = walk_frame(number, 2)[y : y + h, x : x + w]
        items.append(
            Item(f"k{number}", "crop", thumbnail(crop), str(film), "gate", 1.7e9 + number / 10, frame=number,
                 box=(x, y, w, h))
        )  # fmt: skip
    store.add("shop", items, embedding=embedding(len(items)))
    rows = store.ids("shop", Filter()).tolist()
    made = store.cases.create("Stolen <bicycle>", "ann").id
    images = (QueryImage(png(walk_frame(20, 2)[10:70, 82:106])), QueryImage(png(walk_frame(1, 2)[:40, :20]), True))
    query = NewQuery("by hand", {"mode": "same", "why": "a theft"}, "b" * 64, images, rejected=(rows[2],))
    store.cases.add_query(made, "shop", query=query, who="ann")
    for row, note in zip(rows, ("enters", "", "leaves & waves"), strict=True):
        store.cases.bookmark(made, "shop", item=row, who="ann", note=note)
    store.cases.write(made, "ann", name="Stolen <bicycle>", notes="black frame", version=1)
    found = store.cases.get(made)
    store.log({"who": "ann", "action": "search", "gallery": "shop", "query": "b" * 64, "results": rows})
    store.log({"who": "bob", "action": "search", "gallery": "shop", "query": "c" * 64, "results": rows})
    for entry in case_entries(found, "open", who="ann", rows=True):
        store.log(entry)
    return found


@pytest.fixture
def package(store, case, film, tmp_path) -> Path:
    out = tmp_path / "case.zip"
    write_package(store, case, out=out, sources=SourceRoots([film.parent]), blurred=False)
    return out


def test_a_package_holds_all_of_the_case(package, store, case, film):
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    rows = [mark.item for mark in case.bookmarks]
    images = {
        f"{kind}/shop-{row}.{'mp4' if kind == 'clips' else 'jpg'}"
        for kind in ("crops", "frames", "clips")
        for row in rows
    }
    query = case.queries[0].id
    assert set(files) == images | {
        "audit.jsonl", "case.json", "manifest.json", "manifest.sha256", f"models/{SPACE.fingerprint}.json",
        "report.html", f"searches/{query}-0.png", f"searches/{query}-1.png",
    }  # fmt: skip
    told = json.loads(files["case.json"])
    assert [mark["note"] for mark in told["bookmarks"]] == ["enters", "", "leaves & waves"]
    assert (
        told["bookmarks"][0]["row"]["frame"] == 12
        and told["bookmarks"][0]["time_iso"] == "2023-11-14T22:13:21.200+00:00"
    )
    assert told["searches"][0]["settings"]["why"] == "a theft" and told["searches"][0]["rejected"] == [rows[2]]
    manifest = json.loads(files["manifest.json"])
    assert {name: file["sha256"] for name, file in manifest["files"].items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items() if not name.startswith("manifest")
    }
    assert manifest["left_out"] == [f"the card of model {SPACE.fingerprint}: the model is not on this machine"]
    frame = read_image(files[f"frames/shop-{rows[1]}.jpg"])
    assert frame.shape == (96, 160, 3)
    x, y, w, h = box_at(0, 20)
    inside = (slice(y + 2, y + h - 2), slice(x + 2, x + w - 2))
    assert np.abs(frame[inside].astype(float) - walk_frame(20, 2)[inside]).mean() < 8
    assert np.abs(frame[y, x : x + w].astype(float) - (255, 196, 0)).mean() < 60  # the box is drawn
    entries = [json.loads(json.loads(line)["text"]) for line in files["audit.jsonl"].splitlines()]
    assert [(e["who"], e["action"]) for e in entries] == [("ann", "search"), ("ann", "case")]
    page = files["report.html"].decode()
    assert "Stolen &lt;bicycle&gt;" in page and "leaves &amp; waves" in page and "black frame" in page
    assert all(f'src="{name}"' in page for name in images)
    assert verify_package(package)[1] == []
    assert package.stat().st_mode & 0o777 == 0o600


def test_the_same_case_gives_the_same_bytes(package, store, case, film, tmp_path):
    again = tmp_path / "again.zip"
    write_package(store, case, out=again, sources=SourceRoots([film.parent]), blurred=False)
    assert again.read_bytes() == package.read_bytes()
    store.cases.write_note(case.id, "shop", item=case.bookmarks[0].item, who="bob", note="enters late", version=1)
    write_package(store, store.cases.get(case.id), out=again, sources=SourceRoots([film.parent]), blurred=False)
    assert again.read_bytes() != package.read_bytes()


def test_blurred_there_are_no_clips_and_frames_show_nothing_but_the_person(store, case, film, tmp_path):
    out = tmp_path / "blurred.zip"
    manifest = write_package(store, case, out=out, sources=SourceRoots([film.parent]))
    assert manifest.faces == "blurred" and not any(name.startswith("clips/") for name in manifest.files)
    assert sum("clips show faces" in sentence for sentence in manifest.left_out) == 3
    with zipfile.ZipFile(out) as archive:
        frame = read_image(archive.read(f"frames/shop-{case.bookmarks[2].item}.jpg")).astype(float)
        query = read_image(archive.read(f"searches/{case.queries[0].id}-0.jpg")).astype(float)
    x, y, w, h = box_at(0, 32)  # the other person on that frame
    original = walk_frame(32, 2).astype(float)
    fine = lambda image: np.abs(np.diff(image[y : y + h, x : x + w], axis=0)).mean()  # noqa: E731
    assert fine(original) > 4 * fine(frame)
    assert np.abs(query - walk_frame(20, 2)[10:70, 82:106]).mean() > 8
    assert verify_package(out) == (manifest, [])


def test_where_the_source_is_gone_the_rest_is_there_and_it_is_said(store, case, film, tmp_path):
    film.unlink()
    out = tmp_path / "rest.zip"
    manifest = write_package(store, case, out=out, sources=SourceRoots([film.parent]), blurred=False)
    assert sum("is not there any more" in sentence for sentence in manifest.left_out) == 3
    assert sum(name.startswith("crops/") for name in manifest.files) == 3
    assert not any(name.startswith(("frames/", "clips/")) for name in manifest.files)
    with zipfile.ZipFile(out) as archive:
        assert "gate.mp4 is not there any more" in archive.read("report.html").decode()


def test_what_cannot_be_written_whole_is_not_there(store, case, film, tmp_path, package):
    before = package.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) - 100, limits[1]))
    try:
        for out in (package, tmp_path / "new.zip"):
            with pytest.raises(UnveilError, match="cannot write"):
                write_package(store, case, out=out, sources=SourceRoots([film.parent]), blurred=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert package.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if "zip" in path.name] == [package.name]


def found_in(data: bytes, path: Path) -> list[str]:
    path.write_bytes(data)
    try:
        return verify_package(path)[1]
    except DataError as e:
        return [str(e)]


def test_no_altered_byte_is_missed(package, tmp_path):
    data = package.read_bytes()
    with zipfile.ZipFile(package) as archive:
        infos = archive.infolist()
        directory = archive.start_dir
    headers = [at for info in infos for at in range(info.header_offset, info.header_offset + 30 + len(info.filename))]
    inside = random.Random(5).sample(range(len(data)), 300)
    picked = sorted({*random.Random(6).sample(headers, 200), *range(directory, len(data), 3), *inside, len(data) - 1})
    for at in picked:
        changed = data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]
        assert found_in(changed, tmp_path / "x.zip"), f"byte {at} of {len(data)} was altered and not missed"


def test_it_is_said_which_file_was_altered_is_missing_or_was_added(package, tmp_path):
    with zipfile.ZipFile(package) as archive:
        files = [(name, archive.read(name)) for name in archive.namelist()]
        start = archive.getinfo("report.html").header_offset + 60
    data = package.read_bytes()
    changed = data[:start] + b"X" + data[start + 1 :]
    assert found_in(changed, tmp_path / "x.zip") == [
        "report.html was altered: its SHA-256 is not the one in the manifest"
    ]

    def written(kept) -> bytes:
        with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
            for name, content in kept:
                archive.writestr(name, content)
        return (tmp_path / "y.zip").read_bytes()

    crop = next(name for name, _ in files if name.startswith("crops/"))
    assert found_in(written([f for f in files if f[0] != crop]), tmp_path / "x.zip") == [f"{crop} is missing"]
    assert found_in(written([*files, ("crops/x.jpg", b"x")]), tmp_path / "x.zip") == ["crops/x.jpg was added"]
    assert "the header of" in found_in(written(files), tmp_path / "x.zip")[0]  # the same files, another archive
    other = [(n, c.replace(b'"left_out"', b'"left_oat"') if n == "manifest.json" else c) for n, c in files]
    assert "manifest.json or manifest.sha256 was altered" in found_in(written(other), tmp_path / "x.zip")[0]
    assert found_in(written([f for f in files if f[0] != "manifest.json"]), tmp_path / "x.zip") == [
        "manifest.json is missing"
    ]
    for end in (data + b"x", b"x" + data, data[:-1], data[: len(data) // 2], b""):
        assert found_in(end, tmp_path / "x.zip")


def test_a_forged_extract_of_the_log_is_found_though_the_manifest_fits_it(store, case, tmp_path, monkeypatch):
    out = tmp_path / "forged.zip"
    forged = [dataclasses.replace(link, text=link.text.replace('"ann"', '"eve"')) for link in store.links()]
    monkeypatch.setattr(store, "links", lambda: iter(forged))
    write_package(store, case, out=out, sources=SourceRoots(()))
    assert verify_package(out)[1] == [f"audit.jsonl: entry {n} was altered: its text has another hash" for n in (1, 3)]


@pytest.fixture
def unveil(monkeypatch, capsys, address):
    """Return what runs `unveil case ...` on the test's store: exit code, output, errors."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setenv("UNVEIL_STORE", address)
        monkeypatch.setattr("sys.argv", ["unveil", "--quiet", "case", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


def test_the_command_line_lists_shows_exports_and_verifies(unveil, store, case, film, tmp_path):
    [listed] = json.loads(unveil("list", "--json")[1])
    assert (listed["name"], listed["queries"], listed["bookmarks"]) == ("Stolen <bicycle>", 1, 3)
    assert "Stolen" in unveil("list")[1]
    code, out, _ = unveil("show", "Stolen <bicycle>")
    assert code == 0 and "black frame" in out and "leaves & waves" in out and "gate" in out
    shown = [e for e in store.entries() if e["action"] == "case"][-1]
    assert shown["details"] == {"case": case.id, "what": "open"} and shown["results"] == [
        m.item for m in case.bookmarks
    ]
    file = tmp_path / "out.zip"
    code, out, err = unveil("export", "Stolen <bicycle>", file, "--sources", film.parent, "--faces")
    hash = hashlib.sha256(file.read_bytes()).hexdigest()
    assert code == 0 and hash in out and "faces as recorded" in out
    logged = [e for e in store.entries() if e["action"] == "case"][-1]
    assert logged["details"] == {"case": case.id, "what": "export", "sha256": hash, "faces": "as recorded"}
    assert unveil("verify", file) == (0, f"{file}: case 'Stolen <bicycle>', 15 files, sound; SHA-256 {hash}\n", "")
    assert unveil("verify", file, "--sha256", hash)[0] == 0
    code, out, _ = unveil("verify", file, "--sha256", "0" * 64)
    assert code == 1 and "it is another file" in out
    file.write_bytes(file.read_bytes()[:-1])
    code, out, err = unveil("verify", file)
    assert (code == 1 and "altered" in out + err) or "damaged" in out + err
    code, _, err = unveil("export", "Stolen <bicycle>", file)
    assert code == 2 and "is there already" in err
    code, _, err = unveil("show", "stolen bicycle")
    assert code == 2 and "did you mean 'Stolen <bicycle>'" in err
