"""Kills, full disks, two writers, servers that are down or slow: nothing lost, one clear error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from stored import SPACE, crops, embedding

from own_postgres import ends, remove, server_of
from unveil.errors import UnveilError
from unveil.gallery.records import Filter
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.postgresql import own_server
from unveil.gallery.store.postgresql.migrate import migrations
from unveil.gallery.store.postgresql.store import PostgresStore

WRITER = """
    import sys
    from stored import SPACE, crops, embedding
    from unveil.gallery.store.opening import open_store

    address, name = sys.argv[1:3]
    first, batches, size = (int(a) for a in sys.argv[3:])
    store = open_store(address)
    store.create(name, SPACE)
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(batches):
        numbers = range(first + n * size, first + (n + 1) * size)
        new = store.add(
            name, crops(numbers), embedding=embedding(size, seed=n), job=f"job{first}", done={"batches": n + 1}
        )
        print(n + 1, new, flush=True)
"""


def writer(address: str, first: int, batches: int, size: int, name: str = "shop") -> subprocess.Popen[str]:
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    arguments = [sys.executable, "-c", textwrap.dedent(WRITER), address, name, str(first), str(batches), str(size)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True, env=environment)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_processes_write_at_once_and_every_row_is_there_once(address):
    writers = [writer(address, first, 6, 20) for first in (0, 60)]  # the second half of one is the first of the other
    for process in writers:
        go(process)
    lines = [line.split() for process in writers for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in writers] == [0, 0]
    store = open_store(address)
    assert sum(int(new) for _, new in lines) == 180 == store.info("shop").crops
    assert {item.key for item in store.find("shop", Filter())} == {f"key{n}" for n in range(180)}
    assert store.verify("shop") == []
    store.close()


def test_a_writer_killed_in_the_middle_leaves_whole_batches(address):
    process = writer(address, 0, 10_000, 7)
    go(process)
    assert process.stdout is not None
    for _ in range(5):
        acknowledged = int(process.stdout.readline().split()[0])
    process.kill()
    process.wait()
    store = open_store(address)
    done = store.job_state("shop", "job0")["batches"]
    assert done >= acknowledged
    assert {item.key for item in store.find("shop", Filter(), limit=10_000)} == {f"key{n}" for n in range(done * 7)}
    assert store.info("shop").crops == done * 7 and store.verify("shop") == []
    store.close()


def test_a_server_killed_in_the_middle_comes_back_with_what_was_acknowledged(own_folder):
    name = "killed"
    address = own_server.start(own_folder)
    process = writer(address, 0, 10_000, 7, name)
    go(process)
    assert process.stdout is not None
    for _ in range(5):
        acknowledged = int(process.stdout.readline().split()[0])
    server_of(own_folder).kill()
    acknowledged += len(process.communicate()[0].splitlines())
    assert process.returncode == 1  # it said so and stopped
    store = open_store(folder=own_folder)
    done = store.job_state(name, "job0")["batches"]
    assert done >= acknowledged
    assert {item.key for item in store.find(name, Filter(), limit=10_000)} == {f"key{n}" for n in range(done * 7)}
    assert store.verify(name) == []
    store.close()


def test_a_store_goes_on_after_its_own_server_was_killed(own_folder):
    name = "goes-on"
    store = open_store(folder=own_folder)
    store.create(name, SPACE)
    store.add(name, crops(range(5)), embedding=embedding(5))
    other = open_store(folder=own_folder)
    server = server_of(own_folder)
    parts = server.children()
    server.kill()
    assert all(ends(part, 60) for part in parts)  # until then one may still begin a step that it cannot end
    assert store.info(name).crops == 5
    assert other.add(name, crops([8]), embedding=embedding(1)) == 1
    assert store.verify(name) == []
    store.close()
    other.close()


def test_the_own_server_stops_with_its_last_process_even_after_one_was_killed(fresh_folder):
    code = """
        import sys
        from pathlib import Path
        from unveil.gallery.store.opening import open_store
        store = open_store(folder=Path(sys.argv[1]))
        store.galleries()
        print("open", flush=True)
        sys.stdin.readline()
    """
    start = [sys.executable, "-c", textwrap.dedent(code), str(fresh_folder)]
    first, second = (
        subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    )
    for process in (first, second):
        assert process.stdout is not None and process.stdout.readline() == "open\n"
    pid = int((fresh_folder / "postgres" / "postmaster.pid").read_text().split()[0])
    first.kill()
    first.wait()
    # Somebody who comes later notices that the first is gone.
    third = subprocess.run(start, input="\n", capture_output=True, text=True, check=True)
    assert third.stdout == "open\n" and psutil.pid_exists(pid)
    second.communicate("\n")
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def small_disk(fresh_folder: Path) -> Iterator[Path]:
    """Folder on a disk of 128 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", str(fresh_folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield fresh_folder
    remove(fresh_folder)
    subprocess.run(["umount", "-l", str(fresh_folder)], check=True)


def test_a_full_disk_is_one_clear_error_and_loses_nothing(small_disk):
    store = open_store(folder=small_disk)
    store.create("shop", SPACE)
    assert store.add("shop", crops(range(20)), embedding=embedding(20)) == 20
    free = shutil.disk_usage(small_disk).free
    (small_disk / "ballast").write_bytes(bytes(free - 4_000_000))
    kept, said = 20, ""
    for n in range(20):
        numbers = range(100 + 200 * n, 300 + 200 * n)
        try:
            kept += store.add("shop", crops(numbers), embedding=embedding(200), job="job", done=n)
        except UnveilError as e:
            said = str(e)
            break
    assert "full" in said
    (small_disk / "ballast").unlink()
    assert store.info("shop").crops == kept == len(store.ids("shop", Filter()))
    assert store.verify("shop") == []
    assert store.add("shop", crops(numbers), embedding=embedding(200), job="job", done=n) == 200
    store.close()


def test_a_server_that_is_down_is_one_clear_error():
    with pytest.raises(UnveilError, match=r"127\.0\.0\.1/galleries cannot be reached") as caught:
        open_store("postgresql://ann:secret@127.0.0.1:1/galleries")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["mysql://host/db", "/no/dsn", "postgresql://[::1/db", "+milvus=x"])
def test_an_address_that_is_none_is_one_clear_error(address):
    with pytest.raises(UnveilError):
        open_store(address)


def test_the_environment_names_the_store(address, monkeypatch):
    monkeypatch.setenv("UNVEIL_STORE", address)
    store = open_store()
    store.create("shop", SPACE)
    store.close()
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT name FROM unveil.galleries").fetchall() == [("shop",)]


def test_a_server_that_stops_answering_is_one_clear_error(own_folder):
    dsn = own_server.start(own_folder)
    store = PostgresStore(lambda: dsn, seconds=0.5)
    store.create("slow", SPACE)
    server = server_of(own_folder)
    stopped = [server, *server.children()]
    try:
        for process in stopped:
            process.suspend()
        began = time.monotonic()
        with pytest.raises(UnveilError, match=r"did not answer within 0\.5 s"):
            store.add("slow", crops(range(3)), embedding=embedding(3))
        assert time.monotonic() - began < 10
    finally:
        for process in reversed(stopped):
            process.resume()
    assert store.add("slow", crops(range(3)), embedding=embedding(3)) == 3
    store.close()


def test_a_writer_that_waits_too_long_for_another_is_told(address):
    store = PostgresStore(lambda: address, seconds=0.5)
    store.create("shop", SPACE)
    with psycopg.connect(address) as other:
        other.execute("SELECT * FROM unveil.galleries FOR UPDATE")
        with pytest.raises(UnveilError, match=r"did not answer within 0\.5 s"):
            store.add("shop", crops(range(3)), embedding=embedding(3))
        assert store.info("shop").crops == 0  # readers do not wait
    assert store.add("shop", crops(range(3)), embedding=embedding(3)) == 3
    store.close()


def test_a_newer_schema_is_refused_and_left_alone(own_database):
    open_store(own_database).close()
    newest = migrations()[-1][0]
    with psycopg.connect(own_database) as connection:
        connection.execute("INSERT INTO unveil.schema_version VALUES (%s)", (newest + 1,))
    with pytest.raises(
        UnveilError, match=rf"newer version of unveil \(its tables are version {newest + 1}, .*{newest}\)"
    ):
        open_store(own_database)
    with psycopg.connect(own_database) as connection:
        assert connection.execute("SELECT max(version) FROM unveil.schema_version").fetchone() == (newest + 1,)


def test_migrations_go_on_from_every_version(own_database, monkeypatch):
    from unveil.gallery.store.postgresql import migrate

    every = migrations()
    assert [version for version, _ in every] == list(range(1, len(every) + 1))
    for count in range(1, len(every) + 1):
        monkeypatch.setattr(migrate, "migrations", lambda count=count: every[:count])
        with psycopg.connect(own_database, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS unveil CASCADE")
        open_store(own_database).close()
        monkeypatch.undo()
        store = open_store(own_database)
        store.create("shop", SPACE)
        assert store.add("shop", crops(range(3)), embedding=embedding(3)) == 3
        store.close()


def test_processes_that_open_an_empty_database_at_once_all_succeed(own_database):
    code = (
        "import sys; from unveil.gallery.store.opening import open_store;"
        "print(len(open_store(sys.argv[1]).galleries()))"
    )
    start = [sys.executable, "-c", code, own_database]
    both = [subprocess.Popen(start, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in both] == ["0\n", "0\n"]


def test_a_damaged_row_is_found(address):
    store = open_store(address)
    store.create("shop", SPACE)
    store.add("shop", crops(range(6)), embedding=embedding(6))
    assert store.verify("shop") == []
    damage = {
        "DELETE FROM pictures WHERE id = (SELECT min(id) FROM pictures)": "1 rows without an image",
        "DELETE FROM vectors WHERE id = (SELECT max(id) FROM vectors)": "1 rows without vectors",
        "UPDATE coarse SET coarse = (SELECT coarse FROM coarse ORDER BY id LIMIT 1 OFFSET 1) "
        "WHERE id = (SELECT min(id) FROM coarse)": "1 rows whose first-stage vector is not that",
        "UPDATE galleries SET crops = 7": "says that it has 7 crops",
        "DELETE FROM keys WHERE key = 'key3'": "1 rows without a key",
        "UPDATE keys SET key = 'other' WHERE key = 'key4'": "whose key differs",
    }
    for sql, said in damage.items():
        with psycopg.connect(address, options="-c search_path=unveil,public") as connection:
            connection.execute(sql)
        assert any(said in sentence for sentence in store.verify("shop")), said
    assert len(store.verify("shop")) == len(damage)
    store.close()
