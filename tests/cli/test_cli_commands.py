"""What a user sees: output, exit codes and errors of the commands, with real models and files."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from unveil.cli import main
from unveil.models.embeddings import load_embeddings


@pytest.fixture
def unveil(monkeypatch, capsys):
    """Return a function that runs a command line and returns exit code, output and errors."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["unveil", "--quiet", *map(str, words)])
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def model(manifest, tmp_path_factory) -> Path:
    """A part-based model that has seen one epoch."""
    from unveil.recipe import load_recipe
    from unveil.training.loop import train

    out = tmp_path_factory.mktemp("model")
    settings = [
        "method.name=pcb",
        "backbone.name=osnet_x0_25",
        "backbone.init=random",
        "input.height=96",
        "input.width=32",
        "train.epochs=1",
    ]
    train(load_recipe(None, [*settings, f"data.train=manifest:{manifest}", "sampler.persons=4"]), out)
    return out


@pytest.fixture(scope="module")
def gallery(model, manifest, tmp_path_factory) -> Path:
    """Embeddings of all crops."""
    from unveil.datasets import load_dataset
    from unveil.models.checkpoint import load_model
    from unveil.models.embed import embed_samples
    from unveil.models.embeddings import embedded_by, save_embeddings
    from unveil.recipe import DataSource

    dataset = load_dataset(DataSource(name="manifest", root=manifest))
    trained = load_model(model)
    path = tmp_path_factory.mktemp("gallery") / "crops.safetensors"
    embedding, store = embed_samples(trained, dataset.samples)
    save_embeddings(path, embedded_by(trained.summary, embedding, samples=store.samples, source="crops"))
    return path


def test_search_ranks_exactly_says_why_and_never_answers_with_the_query(unveil, gallery, manifest):
    code, out, _ = unveil("search", gallery, gallery, "--only", "p07_c0_0", "--top", 5, "--json")
    assert code == 0
    (ranked,) = json.loads(out)
    assert ranked["query"] == ["images/p07_c0_0.png"]
    known = load_embeddings(gallery)
    assert ranked["model"] == {"name": known.model, "fingerprint": known.fingerprint, "licence": None}
    keys = [hit["key"] for hit in ranked["hits"]]
    assert len(keys) == 5 and "images/p07_c0_0.png" not in keys
    distances = [hit["distance"] for hit in ranked["hits"]]
    assert distances == sorted(distances)
    for hit in ranked["hits"]:
        assert len(hit["parts"]) == 6
        assert hit["distance"] == pytest.approx(sum(hit["parts"].values()) / 6, abs=1e-5)


def test_several_query_crops_of_one_person_give_one_list(unveil, gallery):
    code, out, _ = unveil("search", gallery, gallery, "--only", "p07_c0", "--one-person", "--top", 4, "--json")
    assert code == 0
    (ranked,) = json.loads(out)
    assert len(ranked["query"]) == 3
    assert not set(ranked["query"]) & {hit["key"] for hit in ranked["hits"]}


def test_search_writes_a_sheet_and_a_page_that_need_nothing_else(unveil, gallery, model, manifest, tmp_path):
    query = manifest.parent / "images/p08_c1_0.png"
    sheet, page = tmp_path / "found.png", tmp_path / "found.html"
    code, out, err = unveil(
        "search", query, gallery, "--model", model, "--skip-person-check", "--sheet", sheet, "--page", page
    )
    assert code == 0 and "wrote" in err
    answered = str(load_embeddings(gallery).identity)
    assert "licence not stated" in answered
    assert out.splitlines()[-1] == f"model {answered}" and answered in page.read_text()
    assert sheet.read_bytes()[:4] == b"\x89PNG"
    text = page.read_text()
    assert "http://" not in text and "https://" not in text and "data:image/jpeg;base64," in text


def test_embed_lists_what_it_cannot_read_and_keeps_the_rest(unveil, model, manifest, tmp_path):
    crops = tmp_path / "crops"
    crops.mkdir()
    for path in sorted(manifest.parent.glob("images/p00_*.png")):
        shutil.copy(path, crops)
    whole = (crops / "p00_c0_0.png").read_bytes()
    (crops / "cut.png").write_bytes(whole[: len(whole) // 2])
    (crops / "empty.jpg").write_bytes(b"")
    (crops / "text.jpg").write_text("no image")
    out = tmp_path / "e.safetensors"
    code, text, err = unveil("embed", model, crops, "--out", out, "--json")
    assert code == 1
    assert json.loads(text)["crops"] == 6 and json.loads(text)["left_out"] == 3
    for name in ("cut.png", "empty.jpg", "text.jpg"):
        assert name in err
    assert out.stat().st_size > 0


def test_evaluate_prints_the_protocol_with_each_figure(unveil, model, manifest, tmp_path):
    code, out, _ = unveil("evaluate", model, f"manifest:{manifest}", "-p", "market", "--rerank", "--json")
    assert code == 0
    plain, reranked = json.loads(out)
    assert plain["protocol"] == "market" and plain["protocol_hash"] == "0d65083e"
    assert plain["queries"] == 6 and not plain["reranked"] and reranked["reranked"]
    assert plain["start"] == "random weights" and len(plain["model"]) == 16
    sheet = tmp_path / "answers.png"
    code, out, _ = unveil("evaluate", model, f"manifest:{manifest}", "-p", "market", "--sheet", sheet)
    assert sheet.read_bytes()[:4] == b"\x89PNG"
    assert out.splitlines()[0].endswith(f"({plain['model']}): pcb on osnet_x0_25, started from random weights")
    assert "market#0d65083e" in out and "6 queries (0 dropped)" in out


def test_a_sheet_of_several_sources_names_that_of_each_answer(unveil, model, manifest, tmp_path, monkeypatch):
    from unveil.report import sheet

    other = manifest.with_name("again.csv")
    other.write_bytes(manifest.read_bytes())
    drawn: list[str] = []
    monkeypatch.setattr(sheet, "ranked_sheet", lambda answers, path, title: drawn.extend(a.title for a in answers))
    sources = (f"manifest:{manifest}", f"manifest:{other}")
    code, out, _ = unveil("evaluate", model, *sources, "-p", "market", "--sheet", tmp_path / "x.png", "--json")
    names = [result["dataset"] for result in json.loads(out)]
    assert code == 0 and len(set(names)) == 2
    assert list(dict.fromkeys(title.split(", market")[0] for title in drawn)) == names


def test_a_split_without_queries_and_a_missing_column_are_said(unveil, model, manifest, tmp_path):
    rows = list(csv.DictReader(manifest.open()))

    def variant(name: str, change) -> Path:
        path = manifest.parent / f"{name}.csv"
        with path.open("w", newline="") as f:
            kept = [row for row in map(change, (dict(r) for r in rows)) if row]
            writer = csv.DictWriter(f, list(kept[0]))
            writer.writeheader()
            writer.writerows(kept)
        return path

    no_query = variant("no_query", lambda row: row if row["split"] != "query" else None)
    code, _, err = unveil("evaluate", model, f"manifest:{no_query}")
    assert code == 2 and "query" in err
    no_camera = variant("no_camera", lambda row: {k: v for k, v in row.items() if k not in ("camera", "clothes")})
    code, _, err = unveil("evaluate", model, f"manifest:{no_camera}", "-p", "market")
    assert code == 2 and "'camera'" in err
    code, out, _ = unveil("evaluate", model, f"manifest:{no_camera}")
    assert code == 0 and "no_junk#" in out
    no_person = variant("no_person", lambda row: {k: v for k, v in row.items() if k != "person"})
    code, _, err = unveil("evaluate", model, f"manifest:{no_person}")
    assert code == 2 and "person" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("embed", "absent.safetensors", "crops"), "no model at"),
        (("train", "bot-pol"), "did you mean 'bot-pool'?"),
        (("train", "bot-pool", "train.epoch=3"), "did you mean 'epochs'?"),
        (("train", "bot-pool", "data.train=market151:/x"), "did you mean 'market1501'?"),
        (("train", "bot-pool", "data.train=market1501:/x"), "/x does not exist"),
        (("search", "q.jpg", "absent.safetensors"), "no embeddings at"),
        (("ablate", "pab", "--table", "tabel3"), "did you mean 'table3'?"),
    ],
)
def test_wrong_input_is_one_message_and_exit_code_2(unveil, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = unveil(*words)
    assert code == 2
    assert message in err.replace("\n", " ") and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_query_of_another_model_is_refused(unveil, gallery, manifest, tmp_path):
    from unveil.recipe import load_recipe
    from unveil.training.loop import train

    settings = [
        "method.name=pcb",
        "backbone.name=osnet_x0_25",
        "backbone.init=random",
        "input.height=96",
        "input.width=32",
        "train.seed=9",
    ]
    source = f"data.train=manifest:{manifest}"
    train(load_recipe(None, [*settings, source, "train.epochs=1", "sampler.persons=4"]), tmp_path / "other")
    query = manifest.parent / "images/p08_c1_0.png"
    code, _, err = unveil("search", query, gallery, "--model", tmp_path / "other")
    assert code == 2 and "embed both with the same model" in err.replace("\n", " ")


def test_doctor_and_methods_speak_json(unveil):
    code, out, _ = unveil("doctor", "--json")
    assert code == 0 and json.loads(out)["versions"]["torch"] and json.loads(out)["models"]["best detector"]
    code, out, _ = unveil("methods", "--backbone", "resnet18", "--height", 64, "--width", 32, "--json")
    rows = {row["method"]: row for row in json.loads(out)}
    assert {"bot", "oc4", "ssgr", "pab", "cre", "ocnet", "cal", "sbs", "pcb"} <= set(rows)
    assert len(rows["pab"]["vectors"]) == 7 and "parsing maps (pab6)" in rows["pab"]["requirements"]
