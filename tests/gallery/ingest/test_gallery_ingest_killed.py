"""Adding images or a video, killed in the middle and done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from ingested import render_frames, rows, same, write_images

from unveil.gallery.ingest.images import add_images
from unveil.gallery.ingest.video import add_video
from unveil.video.detectors.precomputed import GivenBoxes

WORK = """
import sys
from pathlib import Path
from unveil.inference.load import load_engine
from unveil.gallery.ingest.adding import Added
from unveil.gallery.ingest.images import add_images
from unveil.gallery.ingest.video import add_video
from unveil.gallery.store.opening import open_store
from unveil.records import Sample
from unveil.video.detectors.precomputed import GivenBoxes
what, address, model, name, source, boxes = sys.argv[1:]
store, engine = open_store(address), load_engine(model, "torch")
if what == "images":
    print(add_images(store, name, engine=engine, samples=[Sample(p.name, p) for p in sorted(Path(source).iterdir())]))
else:
    print(add_video(store, name, engine=engine, source=source, detector=GivenBoxes(Path(boxes))))
"""


@pytest.mark.parametrize("what", ["images", "video"])
def test_killed_and_done_again_is_as_if_nothing_had_happened(store, address, engine, model, tmp_path, what):
    if what == "images":
        samples = write_images(tmp_path / "source", 400)
        source, boxes, whole = tmp_path / "source", tmp_path, 400
    else:
        source, boxes = render_frames(tmp_path, 14)
        whole = 56
    words = [what, address, str(model), "killed", str(source), str(boxes)]
    process = subprocess.Popen([sys.executable, "-c", WORK, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None:
        if any(g.name == "killed" and g.crops for g in store.galleries()):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    assert store.info("killed").crops < whole, "it was done before it was killed"
    for name in ("killed", "whole"):
        if what == "images":
            add_images(store, name, engine=engine, samples=samples)
        else:
            add_video(store, name, engine=engine, source=source, detector=GivenBoxes(boxes))
    same(rows(store, "killed"), rows(store, "whole"))
    info = store.info("killed")
    assert (info.crops, info.tracklets) == (whole, 0 if what == "images" else 14)
    assert store.verify("killed") == []
