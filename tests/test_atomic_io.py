import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from unveil.atomic_io import alone_in, atomic_folder, atomic_path, sha256, write_bytes, write_text
from unveil.errors import UnveilError
from unveil.progress import show_progress, track


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(UnveilError, match="untouched"), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_written_by_one_at_a_time_and_by_the_next_after_it(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    for _ in range(2):
        with alone_in(tmp_path / "run"):
            with pytest.raises(UnveilError, match=f"writes into {tmp_path / 'run'}"), alone_in(tmp_path / "run"):
                pass
            with alone_in(tmp_path / "other"):
                pass

    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with alone_in(tmp_path / "run"), alone_in(tmp_path / "run"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_disk_is_one_clear_error(tmp_path):
    with pytest.raises(UnveilError, match="No space left"), atomic_path(tmp_path / "a") as temporary:
        temporary.symlink_to("/dev/full")
        temporary.write_bytes(b"x" * 100_000)
    assert not list(tmp_path.iterdir())


def test_a_private_file_is_open_to_its_owner_alone_while_it_is_written_and_after(tmp_path):
    def mode(path):
        return stat.S_IMODE(path.stat().st_mode)

    target = tmp_path / "a.txt"
    before = os.umask(0o022)
    try:
        write_text(target, "old")
        assert mode(target) == 0o644
        left = tmp_path / f".a.txt.{os.getpid()}.tmp"  # of a process that was killed
        left.write_text("half")
        with atomic_path(target, private=True) as temporary:
            assert mode(temporary) == 0o600 and temporary.read_text() == ""
            temporary.unlink()
            temporary.write_text("new")  # some writers make a file of their own
        assert (mode(target), target.read_text()) == (0o600, "new")
        write_text(target, "newer", private=True)
        assert (mode(target), target.read_text()) == (0o600, "newer")
    finally:
        os.umask(before)


def test_a_killed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    write_bytes(target, b"old")
    code = (
        "import sys,time; from pathlib import Path; from unveil.atomic_io import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as t:\n t.write_text('half'); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    process.kill()
    process.wait()
    assert target.read_bytes() == b"old"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "store"
    with pytest.raises(KeyError), atomic_folder(target) as temporary:
        (temporary / "half").write_text("x")
        raise KeyError
    assert not list(tmp_path.iterdir())
    with atomic_folder(target) as temporary:
        (temporary / "whole").write_text("x")
    with atomic_folder(target) as temporary:
        (temporary / "newer").write_text("x")
    assert [p.name for p in target.iterdir()] == ["newer"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnveilError, match="file"), atomic_folder(tmp_path / "file" / "store"):
        pass
    with pytest.raises(UnveilError, match="cannot write"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_progress_passes_every_item_and_speaks_only_when_asked(capsys, monkeypatch):
    monkeypatch.setattr("unveil.progress.SECONDS_BETWEEN_LINES", 0.0)
    assert list(track([1, 2], "counting")) == [1, 2]
    assert capsys.readouterr().err == ""
    show_progress()
    try:
        assert list(track(iter([1, 2]), "counting", total=2)) == [1, 2]
    finally:
        show_progress(on=False)
    assert "counting: 2/2" in capsys.readouterr().err
