"""Adapting a gallery, killed while it learns and while rows are embedded, and run again."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytest.importorskip("sklearn", reason="the extra adapt is not installed")

from shop import SHORT, actions, alike, vectors
from tracked import PEOPLE, write_tracklets

from unveil.adaptation.stages.clusters import STATE
from unveil.gallery.records import Filter

SLOWLY = """
    import sys
    from unveil.cli import main
    from unveil.gallery.store.postgresql.store import PostgresStore

    fill = PostgresStore.fill_standby

    def told(self, *words, **options):
        count = fill(self, *words, **options)
        print("filled", count, flush=True)
        sys.stdin.readline()
        return count

    PostgresStore.fill_standby = told
    sys.argv = ["unveil", "--quiet", *sys.argv[1:]]
    main()
"""


def test_killed_while_rows_are_embedded_it_resumes_with_the_rows_that_are_there_then(
    command, shop, store, base, manifest, server, tmp_path
):
    out = tmp_path / "out"
    words = [*map(str, ("gallery", "adapt", shop, "--model", base, "--out", out, *SHORT, "--stages", "statistics")),
             "--store", server]  # fmt: skip
    before = vectors(store)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOWLY), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout.readline() == "filled 64\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "filled 64\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert alike(vectors(store), before) and "being made" in command("gallery", "stats", shop, "--json")[0]
    model = (out / "model.safetensors").read_bytes()
    # Meanwhile somebody goes, with vectors made and not, and somebody comes.
    done = [item.id for item in store.find(shop, Filter(rows="crop"), limit=1000)]
    store.delete(shop, Filter(ids=(done[0], done[-1])))
    more = write_tracklets(tmp_path / "more", people=PEOPLE + 2)
    command("gallery", "add", more, "--gallery", shop, "--model", base, "--engine", "torch", "--no-parser")
    there = set(store.ids(shop, Filter()).tolist())
    since = store.head()[0]
    command(*words[:-2])
    assert (out / "model.safetensors").read_bytes() == model
    after = vectors(store)
    assert after.keys() == there and done[0] not in after and store.verify(shop) == []
    assert actions(store, since)[-2:] == [("switch model", "begun"), ("switch model", "done")]
    assert [m.removed for m in store.derived(shop)] == [2]
    command("gallery", "adapt", shop, "--undo")
    command("gallery", "adapt", shop, "--model", base, "--out", out)  # from the kept vectors, nothing is made anew
    assert alike(vectors(store), after)


def test_killed_while_it_learns_it_resumes_to_the_same_weights_or_begins_anew_without_who_was_deleted(
    command, shop, store, base, server, tmp_path, caplog
):
    def words(name):
        return ("gallery", "adapt", shop, "--model", base, "--out", tmp_path / name, *SHORT, "--epochs", 3)

    def killed_after_an_epoch(name):
        process = subprocess.Popen(
            [sys.executable, "-m", "unveil", *map(str, words(name)), "--store", server],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        state, end = tmp_path / name / STATE, time.monotonic() + 600
        while not state.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert state.exists() and not (tmp_path / name / "model.safetensors").exists()

    before = vectors(store)
    killed_after_an_epoch("killed")
    assert alike(vectors(store), before) and actions(store)[-1] == ("adapt", "begun")
    with caplog.at_level(logging.INFO):
        command(*words("killed"))
    assert "resuming after epoch" in caplog.text
    killed = store.info(shop).space.fingerprint
    command("gallery", "adapt", shop, "--undo")
    command("gallery", "adapt", shop, "--remove-old")
    command(*words("whole"))
    assert store.info(shop).space.fingerprint == killed
    command("gallery", "adapt", shop, "--undo")
    command("gallery", "adapt", shop, "--remove-old")
    killed_after_an_epoch("deleted")
    gone = store.find(shop, Filter(rows="crop"), limit=1)[0].id
    store.delete(shop, Filter(ids=(gone,)))
    command(*words("deleted"))
    assert "it begins anew" in caplog.text and store.info(shop).space.fingerprint != killed
    assert {m.crops for m in store.derived(shop)} == {8 * PEOPLE, 8 * PEOPLE - 1}
