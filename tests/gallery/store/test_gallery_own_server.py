"""The own PostgreSQL: whose folder it serves, where it can live, and when it stops."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from stored import SPACE, crops, embedding

from own_postgres import ends, new_folder, remove, server_of
from unveil.errors import UnveilError
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.postgresql import own_server

OPENS = """
    import sys
    from pathlib import Path
    from unveil.gallery.store.opening import open_store
    store = open_store(folder=Path(sys.argv[1]))
    store.galleries()
    print("open", flush=True)
    sys.stdin.readline()
"""


def opens(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """A process that has the store of a folder open until its input ends."""
    start = [sys.executable, "-c", textwrap.dedent(OPENS), str(folder)]
    process = subprocess.Popen(
        start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    return process


def test_a_copy_of_a_folder_whose_server_runs_is_refused_and_the_original_is_left_alone(fresh_folder):
    store = open_store(folder=fresh_folder)
    store.create("shop", SPACE)
    store.add("shop", crops(range(5)), embedding=embedding(5))
    copy = new_folder()
    try:
        shutil.copytree(fresh_folder, copy, dirs_exist_ok=True, symlinks=True)
        for command in (["gallery", "delete", "shop", "--all", "--yes"], ["gallery", "list"]):
            told = subprocess.run(
                [sys.executable, "-m", "unveil", *command, "--folder", str(copy)], capture_output=True, text=True
            )
            assert told.returncode == 2 and "`unveil gallery backup`" in told.stderr, told.stderr
            assert str(fresh_folder) in told.stderr.replace("\n", "")
        assert store.info("shop").crops == 5 and store.verify("shop") == []
        store.close()
        own_server.stop(fresh_folder)
        # Nothing runs any more, and still the copy may be torn: PostgreSQL would take it for a crash of its own.
        with pytest.raises(UnveilError, match="is a copy of"):
            open_store(folder=copy)
        (copy / "postgres" / "postmaster.pid").unlink()  # what the message says
        copied = open_store(folder=copy)
        assert copied.drop("shop") == 5
        copied.close()
        assert open_store(folder=fresh_folder).info("shop").crops == 5
    finally:
        remove(copy)


def test_a_folder_that_was_moved_while_nothing_ran_is_opened_where_it_is(fresh_folder):
    store = open_store(folder=fresh_folder)
    store.create("shop", SPACE)
    store.close()
    own_server.stop(fresh_folder)
    moved = new_folder()
    try:
        (fresh_folder / "postgres").rename(moved / "postgres")
        assert open_store(folder=moved).info("shop").name == "shop"
    finally:
        remove(moved)


@pytest.mark.parametrize("name", ["a b", 'it\'s, "q" #1?&%41=ü', "-k x"])
def test_a_folder_may_have_any_name(fresh_folder, name):
    folder = fresh_folder / name
    try:
        store = open_store(folder=folder)
        store.create("shop", SPACE)
        assert store.add("shop", crops(range(3)), embedding=embedding(3)) == 3
        store.close()
    finally:
        remove(folder)


def test_a_blank_in_the_home_or_in_the_temporary_folder_keeps_nobody_from_a_gallery(fresh_folder):
    home = fresh_folder / "a b"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    environment |= {"HOME": str(home), "TMPDIR": str(home)}
    start = [sys.executable, "-m", "unveil", "gallery", "list", "--json"]
    told = subprocess.run(start, env=environment, capture_output=True, text=True)
    assert (told.returncode, told.stdout.strip()) == (0, "[]"), told.stderr
    assert (home / ".local/share/unveil/galleries/postgres/PG_VERSION").exists()


def test_nobody_else_can_reach_the_socket_or_keep_the_server_from_starting(fresh_folder, monkeypatch, tmp_path):
    # What another user could put into a shared temporary folder, and hold on to.
    blocker = (tmp_path / ".lockfile").open("w")
    fcntl.lockf(blocker, fcntl.LOCK_EX)
    shared = fresh_folder / "tmp"
    shared.mkdir(mode=0o777)
    monkeypatch.setenv("TMPDIR", str(shared))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    process = opens(fresh_folder / "galleries", TMPDIR=str(shared))
    try:
        (sockets,) = shared.glob("unveil-*")
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert sockets.stat().st_uid == (fresh_folder / "galleries" / "postgres").stat().st_uid
        assert not server_of(fresh_folder / "galleries").net_connections("inet")
    finally:
        process.communicate("\n")
    assert not list(shared.iterdir())  # nothing is left behind


def test_killed_processes_leave_no_server_behind(fresh_folder):
    first, second = opens(fresh_folder), opens(fresh_folder)
    server = server_of(fresh_folder)
    first.kill()
    first.wait()
    assert not ends(server, 2)  # the second still uses it
    second.kill()
    second.wait()
    assert ends(server, 20)
    assert open_store(folder=fresh_folder).galleries() == []


def test_a_server_whose_keeper_was_killed_gets_another_from_the_next_process(fresh_folder):
    first = opens(fresh_folder)
    server = server_of(fresh_folder)
    keeper = server.parent()
    assert keeper is not None and "keeper.py" in " ".join(keeper.cmdline())
    keeper.kill()
    second = opens(fresh_folder)
    assert server_of(fresh_folder) == server
    for process in (first, second):
        process.kill()
        process.wait()
    assert ends(server, 20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_that_is_asked_to_end_takes_its_server_with_it(fresh_folder, number):
    store = open_store(folder=fresh_folder)
    store.create("shop", SPACE)
    store.close()
    own_server.stop(fresh_folder)
    # Somebody who is not known to the server's keeper holds a row that the command wants.
    code = """
        import sys, psycopg
        with psycopg.connect(sys.argv[1]) as other:
            other.execute("UPDATE unveil.galleries SET keep = 5")
            print("open", flush=True)
            sys.stdin.readline()
    """
    keep = [
        sys.executable,
        "-m",
        "unveil",
        "gallery",
        "expire",
        "shop",
        "--folder",
        str(fresh_folder),
        "--retention",
        "30d",
    ]
    address = own_server.start(fresh_folder)
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "open\n"
    # Tests that run behind `nohup` or as a background job hand down signals that are ignored, and those stay so.
    default = functools.partial(signal.signal, number, signal.SIG_DFL)
    process = subprocess.Popen(keep, stdout=subprocess.PIPE, text=True, preexec_fn=default)
    server = server_of(fresh_folder)
    with psycopg.connect(address, autocommit=True) as watch:
        while not watch.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall():
            assert process.poll() is None
    own_server.stop(fresh_folder)
    process.send_signal(number)
    assert process.wait(20) == 130
    # It has stopped the server before it ended, although somebody was connected.
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    holder.kill()
    holder.wait()


def test_a_folder_of_another_version_of_the_server_is_one_clear_error(fresh_folder):
    open_store(folder=fresh_folder).close()
    own_server.stop(fresh_folder)
    (fresh_folder / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(UnveilError, match="made by PostgreSQL 16, this is 18"):
        open_store(folder=fresh_folder)


def test_a_server_that_ends_at_once_says_why(fresh_folder):
    open_store(folder=fresh_folder).close()
    own_server.stop(fresh_folder)
    with (fresh_folder / "postgres" / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = nonsense\n")
    with pytest.raises(UnveilError, match=r"does not start: .*configuration"):
        open_store(folder=fresh_folder)


def test_a_folder_that_is_removed_while_its_server_runs_can_be_made_again_at_once(fresh_folder):
    store = open_store(folder=fresh_folder)
    store.create("shop", SPACE)
    shutil.rmtree(fresh_folder)
    again = open_store(folder=fresh_folder)
    assert again.galleries() == []
    again.create("other", SPACE)
    time.sleep(2)  # the keeper of the first server must not take the second for unused
    assert [info.name for info in again.galleries()] == ["other"]
