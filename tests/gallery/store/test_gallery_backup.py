"""A backup while others write, a store restored from it, and stores that are opened without changing them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from stored import SPACE, crops, embedding

from own_postgres import new_folder, remove
from unveil.errors import DataError, UnveilError
from unveil.gallery import audit
from unveil.gallery.records import Filter
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.postgresql import backup, own_server
from unveil.gallery.store.postgresql.backup import check_hashes


@pytest.fixture
def filled(store):
    """Two galleries with times in several periods, a tracklet, feedback, a job, a calibration and a log."""
    store.create("shop", SPACE, retention_seconds=9e9)
    items = [dataclasses.replace(item, person=f"p{n % 4}") for n, item in enumerate(crops(range(0, 3000, 50)))]
    store.add("shop", [*items, *crops([7000], time=None)], embedding=embedding(61), job="job", done={"frame": 7})
    store.create("yard", SPACE)
    store.add("yard", crops(range(10)), embedding=embedding(10, seed=3))
    store.drop("yard")
    store.create("yard", SPACE)
    store.add("yard", crops(range(5)), embedding=embedding(5, seed=4))
    store.feedback.give("shop", "a" * 64, item=store.find("shop", Filter())[3].id, same=True, who="ann")
    store.set_calibration("shop", {"same": {"threshold": 0.5}})
    for n in range(3):
        store.log({"who": "ann", "action": "search", "gallery": "shop", "details": {"n": n}})
    return store


@pytest.fixture
def empty(own_database):
    """An empty store in a database of its own: a server of its own takes seconds."""
    store = open_store(own_database)
    yield store
    store.close()


def same(one, other):
    assert [dataclasses.replace(i, revision=0) for i in one.galleries()] == [
        dataclasses.replace(i, revision=0) for i in other.galleries()
    ]
    for info in one.galleries():
        ids = one.ids(info.name, Filter())
        assert one.find(info.name, Filter()) == other.find(info.name, Filter())
        for a, b in zip(one.embeddings(info.name, ids), other.embeddings(info.name, ids), strict=True):
            a, b = (x if isinstance(x, np.ndarray) else x.vectors for x in (a, b))
            np.testing.assert_array_equal(a, b)
        assert one.feedback.all(info.name) == other.feedback.all(info.name)
        assert other.verify(info.name) == []
    assert list(one.links()) == list(other.links()) and one.head() == other.head()
    assert audit.wrong(other.links(), other.head()) == []


def test_nobody_else_can_read_a_backup_at_any_time(filled, tmp_path, monkeypatch):
    modes, folder, last = set(), tmp_path / "backups", backup._last

    def watched(*asked):  # while the file is written
        modes.update(file.stat().st_mode & 0o777 for file in folder.iterdir())
        return last(*asked)

    monkeypatch.setattr(backup, "_last", watched)
    filled.backup(folder / "all.unveil")
    assert modes == {0o600} and (folder / "all.unveil").stat().st_mode & 0o777 == 0o600


def test_a_restored_store_is_the_one_that_was_backed_up_and_goes_on(filled, empty, tmp_path):
    path = tmp_path / "all.unveil"
    manifest = filled.backup(path)
    assert manifest.tables["items"].rows == 66 and check_hashes(path) == manifest
    empty.restore(path)
    same(filled, empty)
    assert empty.job_state("shop", "job") == {"frame": 7}
    # New rows and galleries have numbers of their own.
    known = set(empty.ids("shop", Filter()).tolist())
    assert empty.add("shop", crops([9999]), embedding=embedding(1)) == 1
    assert empty.add("shop", crops([50]), embedding=embedding(1)) == 0
    assert known < set(empty.ids("shop", Filter()).tolist())
    empty.create("third", SPACE)
    assert empty.add("third", crops(range(3)), embedding=embedding(3)) == 3
    assert empty.delete("shop", Filter(persons=("p1",))) == 15 and empty.verify("shop") == []
    empty.log({"who": "ann", "action": "search"})
    assert audit.wrong(empty.links(), empty.head()) == []
    with pytest.raises(DataError, match="not empty"):
        empty.restore(path)


def test_a_backup_is_of_one_moment_while_others_write(filled, empty, tmp_path):
    ended = threading.Event()

    def write():
        n = 20_000
        while not ended.is_set():
            filled.add("shop", crops(range(n, n + 5)), embedding=embedding(5), job="job", done=n)
            n += 5

    writer = threading.Thread(target=write)
    writer.start()
    try:
        filled.backup(tmp_path / "all.unveil")
    finally:
        ended.set()
        writer.join()
    empty.restore(tmp_path / "all.unveil")
    assert empty.verify("shop") == [] and (empty.info("shop").crops - 61) % 5 == 0


def damaged(path: Path, change) -> Path:
    """The same archive with another content of one member, its own checksums right."""
    out = path.with_name("damaged.unveil")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as new:
        for name in archive.namelist():
            for other, data in change(name, archive.read(name)):
                new.writestr(other, data)
    return out


DAMAGES = {
    "a byte of a vector": lambda n, d: [(n, d[:-9] + bytes([d[-9] ^ 1]) + d[-8:] if n.endswith("vectors.copy") else d)],
    "a table is missing": lambda n, d: [] if n.endswith("pictures.copy") else [(n, d)],
    "a file too many": lambda n, d: [(n, d), *([("../../x", b"y")] if n == "manifest.json" else [])],
    "a table of another name": lambda n, d: [(n, d.replace(b'"judgements"', b'"pg_authid"') if "mani" in n else d)],
    "another version": lambda n, d: [
        (n, d.replace(b'"tables_version": ', b'"tables_version": 9') if "mani" in n else d)
    ],
    "no manifest": lambda n, d: [] if n == "manifest.json" else [(n, d)],
    "statements for columns": lambda n, d: [(n, d.replace(b'"kind"', b'"kind) FROM PROGRAM"') if "mani" in n else d)],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused_and_leaves_the_store_empty(filled, empty, tmp_path, damage):
    filled.backup(tmp_path / "all.unveil")
    path = damaged(tmp_path / "all.unveil", DAMAGES[damage])
    with pytest.raises(DataError, match=r"damaged|no backup|written by"):
        empty.restore(path)
    assert empty.galleries() == [] and empty.head()[0] == 0
    assert not (tmp_path.parent / "x").exists()


def test_a_backup_with_compressed_tables_is_refused_before_it_is_read(filled, empty, tmp_path):
    filled.backup(tmp_path / "all.unveil")
    with (
        zipfile.ZipFile(tmp_path / "all.unveil") as archive,
        zipfile.ZipFile(tmp_path / "small.unveil", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in archive.namelist():
            new.writestr(name, archive.read(name))
    with pytest.raises(DataError, match="compressed"):
        empty.restore(tmp_path / "small.unveil")


@pytest.mark.parametrize("data", [b"", b"PK", b"\0" * 500])
def test_what_is_no_backup_is_one_clear_error(empty, tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DataError, match="is no backup"):
        empty.restore(tmp_path / "x")


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["a backup", "a folder"])
def test_what_must_not_change_is_searched_and_does_not_change(fresh_folder, tmp_path, monkeypatch, kind):
    store = open_store(folder=fresh_folder)
    store.create("shop", SPACE)
    store.add("shop", crops(range(8)), embedding=embedding(8))
    store.log({"who": "ann", "action": "add", "gallery": "shop"})
    path = fresh_folder
    if kind == "a backup":
        path = tmp_path / "all.unveil"
        store.backup(path)
    store.close()
    own_server.stop(fresh_folder)
    if kind == "a folder":  # as an image of a disk has it, whose power was cut
        pid = f"99999\n{fresh_folder}/postgres\n1\n5432\n/tmp\n\n1 1\nready\n"
        (fresh_folder / "postgres" / "postmaster.pid").write_text(pid)
    before = content(path.parent if path.is_file() else path)
    monkeypatch.setenv("UNVEIL_JOURNAL", str(tmp_path / "elsewhere.jsonl"))
    evidence = open_store(f"read-only:{path}")
    assert evidence.info("shop").crops == 8 and evidence.verify("shop") == []
    for change in (
        lambda: evidence.add("shop", crops([9]), embedding=embedding(1)),
        lambda: evidence.drop("shop"),
        lambda: evidence.set_retention("shop", 5.0),
    ):
        with pytest.raises(UnveilError, match="read only"):
            change()
    hash = evidence.log({"who": "ben", "action": "search", "gallery": "shop"})
    scratch = evidence._scratch
    evidence.close()
    assert not scratch.exists()
    line = json.loads((tmp_path / "elsewhere.jsonl").read_text())
    assert line["hash"] == hash and line["number"] == 2
    (tmp_path / "elsewhere.jsonl").unlink()
    assert content(path.parent if path.is_file() else path) == before


def test_the_commands_back_up_restore_and_open(fresh_folder, tmp_path):
    def unveil(*words):
        return subprocess.run([sys.executable, "-m", "unveil", *map(str, words)], capture_output=True, text=True)

    store = open_store(folder=fresh_folder)
    store.create("shop", SPACE)
    store.add("shop", crops(range(8)), embedding=embedding(8))
    path, other = tmp_path / "all.unveil", new_folder()
    try:
        made = unveil("gallery", "backup", path, "--folder", fresh_folder, "--json")
        assert made.returncode == 0, made.stderr
        told = json.loads(made.stdout)
        assert (told["rows"], told["checked"]) == (8, True)
        assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        states = [entry["details"]["state"] for entry in store.entries() if entry["action"] == "backup"]
        assert states == ["begun", "done"]
        again = unveil("gallery", "backup", path, "--folder", fresh_folder)
        assert again.returncode == 2 and "does not replace" in again.stderr
        restored = unveil("gallery", "restore", path, "--folder", other)
        assert restored.returncode == 0 and "8 rows" in restored.stdout, restored.stderr
        listed = unveil("gallery", "list", "--store", f"read-only:{path}", "--json")
        assert [g["crops"] for g in json.loads(listed.stdout)] == [8], listed.stderr
    finally:
        store.close()
        remove(other)
