from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unveil.errors import DataError, UnveilError
from unveil.gallery import audit
from unveil.gallery.store.opening import open_store


def entry(n: int) -> dict:
    return {"who": "ann", "role": "operator", "action": "search", "why": f"case {n}", "gallery": "shop",
            "query": f"{n:064x}", "results": [n, n + 1]}  # fmt: skip


def chain(count: int) -> list[audit.Link]:
    links: list[audit.Link] = []
    for n in range(count):
        previous = links[-1].hash if links else audit.START
        links.append(audit.sealed(audit.checked(entry(n)), n + 1, time=1.7e9 + n, previous=previous))
    return links


def head(links):
    return (links[-1].number, links[-1].hash) if links else (0, audit.START)


def test_a_whole_chain_is_sound():
    links = chain(5)
    assert audit.wrong(links, head(links)) == [] == audit.wrong([], head([]))
    assert audit.wrong(links, head(links), noted=[(None, links[2].hash)]) == []
    assert links[3].entry() == {**entry(3), "number": 4, "time": 1.7e9 + 3}


@given(data=st.data(), count=st.integers(2, 8))
def test_any_tampering_is_found(data, count):
    links = chain(count)
    where = data.draw(st.integers(0, count - 1))
    how = data.draw(st.sampled_from(["text", "reseal", "remove", "swap", "renumber", "repeat", "cut"]))
    changed = list(links)
    if how == "text":
        changed[where] = dataclasses.replace(links[where], text=links[where].text.replace("ann", "bob"))
    elif how == "reseal":  # the forger hashes the changed entry again
        forged = {**entry(where), "who": "bob"}
        changed[where] = audit.sealed(forged, where + 1, time=1.7e9 + where, previous=links[where].previous)
    elif how == "remove":
        del changed[where]
    elif how == "swap":
        other = (where + 1) % count
        changed[where], changed[other] = changed[other], changed[where]
    elif how == "renumber":
        changed[where] = dataclasses.replace(links[where], number=links[where].number + 1)
    elif how == "repeat":
        changed.insert(where, links[where])
    else:
        changed = changed[:where]
    assert audit.wrong(changed, head(links))


def test_a_chain_that_was_forged_as_a_whole_lacks_the_noted_hash():
    links = chain(4)
    forged = [audit.sealed({"who": "x", "action": "y"}, 1, time=0.0, previous=audit.START)]
    assert audit.wrong(forged, head(forged)) == []
    assert "written anew" in audit.wrong(forged, head(forged), noted=[(None, links[1].hash)])[0]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"who": "ann"}, "missing: action"),
        ({"who": "", "action": "x"}, "missing: who"),
        ({"who": "a", "action": "x", "face": 1}, "unknown: face"),
        ({"who": "a", "action": "x", "details": object()}, "must be JSON"),
        ({"who": "a", "action": "x", "details": float("nan")}, "must be JSON"),
        ({"who": "a", "action": "x", "why": "w" * 100_001}, "100000 bytes"),
    ],
)
def test_what_is_no_entry_is_refused(bad, said):
    with pytest.raises(DataError, match=said):
        audit.checked(bad)


def test_the_store_keeps_the_chain_and_gives_it_back(store):
    hashes = [store.log(entry(n)) for n in range(4)]
    store.log({"who": "eve", "action": "list"})
    assert [e["hash"] for e in store.entries("shop")] == hashes
    assert [e["number"] for e in store.entries()] == [1, 2, 3, 4, 5]
    assert {**entry(2), "number": 3}.items() <= list(store.entries())[2].items()
    assert audit.wrong(store.links(), store.head(), noted=[(2, hashes[1])]) == []


@pytest.mark.parametrize("sql", ["UPDATE audit SET entry = '{}'", "DELETE FROM audit", "TRUNCATE audit"])
def test_the_database_refuses_to_change_the_log(store, address, sql):
    store.log(entry(0))
    with psycopg.connect(address, options="-c search_path=unveil,public") as connection:  # noqa: SIM117
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only grows"):
            connection.execute(sql)
    assert len(list(store.entries())) == 1


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE audit SET entry = replace(entry, 'case 2', 'case 9') WHERE number = 3", "entry 3 was altered"),
        ("DELETE FROM audit WHERE number = 3", "after entry 2 comes entry 4"),
        ("DELETE FROM audit WHERE number = 5", "its end was changed"),
        (
            "UPDATE audit a SET entry = b.entry, previous = b.previous, hash = b.hash FROM audit b "
            "WHERE (a.number, b.number) IN ((2, 3), (3, 2))",
            "was moved",
        ),
    ],
)
def test_what_an_administrator_changes_is_found(store, address, sql, said):
    for n in range(5):
        store.log(entry(n))
    with psycopg.connect(address, options="-c search_path=unveil,public") as connection:
        connection.execute("SET session_replication_role = replica")  # switches the triggers off
        assert connection.execute(sql).rowcount > 0
    assert any(said in sentence for sentence in audit.wrong(store.links(), store.head()))


def test_processes_that_log_at_once_make_one_chain(address):
    code = (
        "import sys; from unveil.gallery.store.opening import open_store; store = open_store(sys.argv[1])\n"
        "for n in range(20): store.log({'who': sys.argv[2], 'action': 'search'})"
    )
    start = [sys.executable, "-c", code, address]
    writers = [subprocess.Popen([*start, who]) for who in ("ann", "bob")]
    assert [process.wait() for process in writers] == [0, 0]
    store = open_store(address)
    assert sorted(e["who"] for e in store.entries()) == ["ann"] * 20 + ["bob"] * 20
    assert audit.wrong(store.links(), store.head()) == []
    store.close()


def test_a_clock_that_ran_backwards_is_said_and_a_small_step_is_not():
    links, last = [], audit.START
    for number, time in enumerate((1.7e9, 1.7e9 + 60, 1.7e9 + 59.5, 1.7e9 - 3600, 1.7e9 + 61), 1):
        links.append(audit.sealed(entry(number), number, time=time, previous=last))
        last = links[-1].hash
    said = audit.wrong(links, head(links))
    assert len(said) == 1 and said[0].startswith("entry 4 ") and "backwards" in said[0]


def test_a_noted_hash_at_another_number_is_said():
    links = chain(3)
    said = audit.wrong(links, head(links), noted=[(2, links[2].hash), (1, links[0].hash)])
    assert len(said) == 1 and "entry 3" in said[0]


def test_the_user_is_whom_the_system_knows(monkeypatch):
    pwd = pytest.importorskip("pwd")
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody else")
    number = os.getuid()
    assert audit.user().startswith(f"{pwd.getpwuid(number).pw_name} (uid {number}")


@pytest.mark.parametrize("outcome", ["done", "failed", "no room for the end"])
def test_what_is_done_is_entered_before_and_after(outcome):
    entries = []

    def log(entry):
        if entries and outcome == "no room for the end":
            raise UnveilError("the disk is full")
        entries.append(entry)
        return f"hash {len(entries)}"

    errors = {"done": contextlib.nullcontext(), "failed": pytest.raises(ValueError, match="x")}
    error = errors.get(outcome, pytest.raises(UnveilError, match="full"))
    with error, audit.audited(log, {"who": "ann", "action": "add", "details": {"source": "a"}}) as told:
        assert [e["details"] for e in entries] == [{"source": "a", "state": "begun"}]
        told["crops"] = 3
        if outcome == "failed":
            raise ValueError("x")
    last = entries[-1]["details"]
    if outcome == "done":
        assert last == {"source": "a", "crops": 3, "state": "done", "begun": "hash 1"}
    elif outcome == "failed":
        assert last == {"source": "a", "crops": 3, "state": "failed", "error": "ValueError", "begun": "hash 1"}
    else:
        assert len(entries) == 1


def test_nothing_is_begun_that_cannot_be_entered():
    def full(entry):
        raise UnveilError("the disk is full")

    with pytest.raises(UnveilError, match="full"), audit.audited(full, {"who": "ann", "action": "add"}):
        pytest.fail("it was begun")
