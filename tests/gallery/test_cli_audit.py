from __future__ import annotations

import csv
import json

import psycopg
import pytest

from unveil.cli import main


@pytest.fixture
def unveil(monkeypatch, capsys, address):
    """Return a function that runs `unveil audit ...` on the test's store: exit code, output, errors."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setenv("UNVEIL_STORE", address)
        monkeypatch.setattr("sys.argv", ["unveil", "--quiet", "audit", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def hashes(store):
    entries = [
        {"who": "ann", "role": "operator", "action": "search", "why": "=cmd|' /C calc'!A0", "gallery": "shop",
         "query": "ab" * 32, "results": [4, 9]},
        {"who": "bob", "action": "delete", "gallery": "bank"},
        {"who": "ann", "action": "list"},
    ]  # fmt: skip
    return [store.log(entry) for entry in entries]


def test_verify(unveil, hashes, address):
    assert unveil("verify") == (0, f"3 entries, sound; last hash {hashes[-1]}\n", "")
    assert unveil("verify", "--noted", hashes[0])[0] == 0
    code, out, _ = unveil("verify", "--noted", "f" * 64)
    assert code == 1 and "written anew" in out
    with psycopg.connect(address, options="-c search_path=unveil,public") as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE audit SET entry = replace(entry, 'bob', 'eve')")
    code, out, _ = unveil("verify")
    assert code == 1 and out == "entry 2 was altered: its text has another hash\n"


def test_the_head_is_noted_for_a_witness_and_held_against_the_log(unveil, hashes, store, tmp_path):
    notes = tmp_path / "heads.jsonl"
    code, out, _ = unveil("head")
    assert code == 0 and {"number": 3, "hash": hashes[-1]}.items() <= json.loads(out).items()
    assert unveil("head", "--to", notes)[0] == 0
    store.log({"who": "ann", "action": "list"})
    assert unveil("head", "--to", notes)[0] == 0
    assert len(notes.read_text().splitlines()) == 2
    assert unveil("verify", "--notes", notes)[0] == 0
    notes.write_text(notes.read_text() + json.dumps({"number": 2, "hash": "e" * 64}) + "\n")
    code, out, _ = unveil("verify", "--notes", notes)
    assert code == 1 and "written anew" in out
    notes.write_text(notes.read_text() + "no JSON\n")
    assert unveil("verify", "--notes", notes)[0] == 2
    assert unveil("head", "--to", tmp_path / "nowhere" / "x")[0] == 2


def test_show(unveil, hashes):
    code, out, _ = unveil("show", "--json")
    assert code == 0 and [json.loads(line)["hash"] for line in out.splitlines()] == hashes
    assert [json.loads(line)["who"] for line in unveil("show", "--last", 1, "--json")[1].splitlines()] == ["ann"]
    assert [json.loads(line)["number"] for line in unveil("show", "--who", "ann", "--json")[1].splitlines()] == [1, 3]
    assert [json.loads(line)["who"] for line in unveil("show", "--gallery", "bank", "--json")[1].splitlines()] == [
        "bob"
    ]
    assert "bob" in unveil("show")[1]


def test_export(unveil, hashes, tmp_path):
    assert unveil("export", tmp_path / "log.jsonl")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["hash"] for line in lines] == hashes and lines[0]["results"] == [4, 9]
    assert unveil("export", tmp_path / "log.csv", "--gallery", "shop")[0] == 0
    (row,) = csv.DictReader((tmp_path / "log.csv").open())
    assert row["results"] == "[4, 9]" and row["hash"] == hashes[0]
    assert row["why"].startswith("'=")  # no formula for the spreadsheet that opens it
    code, _, err = unveil("export", tmp_path / "log.pdf")
    assert code == 2 and "log.pdf" in err
