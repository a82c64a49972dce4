"""A model of another project from its card to the page: gallery, calibration, server, heat map and report."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image

from callers import encoded, person
from command_line import run
from external import write_card, write_stripes
from generated import write_crops

PARTS = 4


@pytest.fixture
def colours(tmp_path, monkeypatch) -> str:
    """Name of an installed model whose vectors are the colours of four stripes, as its publisher's file and a card."""
    monkeypatch.setenv("UNVEIL_MODELS", str(tmp_path / "models"))
    model = write_stripes(tmp_path, PARTS)
    write_card(model, names=[f"stripe{n}" for n in range(PARTS)], licence="MIT", trained_on="nothing at all")
    target = tmp_path / "models" / "colours"
    target.mkdir(parents=True)
    for path in (model, model.with_suffix(".json")):
        path.rename(target / (model.name if path == model else "colours.json"))
    return "colours"


@pytest.fixture
def shop(tmp_path, server, colours) -> str:
    """A gallery of twelve people, embedded by that model and calibrated on their labels."""
    manifest = write_crops(tmp_path / "crops")
    run("gallery", "add", manifest, "--gallery", "foreign", "--model", colours, "--no-parser", "--store", server)
    fitted = json.loads(run("gallery", "calibrate", "foreign", "--mode", "same", "--store", server, "--json").stdout)
    assert fitted["same"]["pairs"] > 100 and fitted["same"]["check"]["brier"] < fitted["same"]["check"]["constant"]
    return "foreign"


def answers(address: str) -> bool:
    for _ in range(1200):
        try:
            if httpx.get(f"{address}/readyz", timeout=5).status_code == 200:
                return True
        except httpx.TransportError:
            time.sleep(0.05)
    return False


def test_a_server_searches_explains_and_reports_with_a_model_of_others(tmp_path, server, colours, shop):
    command = [sys.executable, "-m", "unveil", "serve", "--gallery", shop, "--model", colours]
    command += ["--store", server, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        address = next(found[1] for line in process.stderr if (found := re.search(r"serving at (http://[^/]+)/", line)))
        assert answers(address)
        with httpx.Client(base_url=address, timeout=60) as client:
            image = client.post("/api/v1/images", content=encoded(person(8))).json()["image"]
            asked = {"positives": [{"image": image}], "top": 6, "rows": "crop", "skip_person_check": True}
            answer = client.post(f"/api/v1/galleries/{shop}/searches", json=asked)
            assert answer.status_code == 201, answer.text
            found = answer.json()
            assert [hit["item"]["person"] for hit in found["hits"]].count("p08") >= 4
            assert found["hits"][0]["item"]["person"] == "p08" and found["hits"][0]["probability"] > 0.5
            assert found["calibrated"] and found["match"]
            assert set(found["hits"][0]["parts"]) == {f"stripe{n}" for n in range(PARTS)}
            model = found["model"]
            assert (model["name"], model["licence"]) == ("colours", "MIT")

            path = f"/api/v1/galleries/{shop}/searches/{found['search']}"
            first = found["hits"][0]["item"]["id"]
            layer = client.get(f"{path}/hits/{first}/heat")
            assert layer.status_code == 200 and layer.headers["content-type"] == "image/png"
            opacity = np.asarray(Image.open(io.BytesIO(layer.content)))[..., 3]
            assert opacity.max() > 100 and opacity.min() < 60  # some places bring it nearer than others

            page = client.get(f"{path}/report", params={"format": "html"}).text
            assert "colours" in page and model["fingerprint"] in page
            assert client.get(f"{path}/report", params={"format": "json"}).json()["model"] == model
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_search_on_the_command_line_says_which_model_answered(tmp_path, server, colours, shop):
    Image.fromarray(person(8)).save(tmp_path / "query.png")
    words = ("search", tmp_path / "query.png", shop, "--model", colours, "--skip-person-check", "--store", server)
    page = tmp_path / "found.html"
    out = run(*words, "--page", page).stdout
    assert "model colours (" in out and "licence MIT" in out
    assert "colours" in page.read_text()
