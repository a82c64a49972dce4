"""Reading ahead by threads: order, bound, errors in their turn, and files that do not come."""

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from itertools import pairwise

import pytest

from unveil.data import prefetch
from unveil.data.file_reads import longest_read, read_bytes, read_of, reading
from unveil.data.prefetch import in_threads, processor_seconds
from waiting import on_warning, until

needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.fixture
def fifo(tmp_path):
    """A file of which nothing comes until somebody writes it; one that is still being read then ends."""
    path = tmp_path / "share.jpg"
    os.mkfifo(path)
    yield path
    if readers():
        path.write_bytes(b"")
        until(lambda: not readers())


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("ahead", [0, 1, 5, 100, None])
def test_results_come_in_order_from_threads_that_end(workers, ahead):
    here, seen = threading.get_ident(), set()

    def square(number):
        seen.add(threading.get_ident())
        return number**2

    assert list(in_threads(square, range(40), workers=workers, ahead=ahead)) == [n**2 for n in range(40)]
    assert here not in seen and len(seen) <= workers and not readers()


def test_nothing_gives_nothing_and_what_is_none_or_empty_is_given():
    assert list(in_threads(str, [])) == []
    assert list(in_threads(lambda item: item, [None, [], 0])) == [None, [], 0]


@pytest.mark.parametrize("ahead", [0, 1, 2, 7])
def test_no_more_is_begun_than_was_said(ahead):
    begun = []

    def items():
        for number in range(20):
            begun.append(number)
            yield number

    for number in in_threads(lambda number: number, items(), workers=3, ahead=ahead):
        assert len(begun) == min(20, number + 1 + ahead)


def test_the_next_is_read_while_one_is_in_use():
    second = threading.Event()
    with closing(in_threads(lambda n: n == 1 and second.set(), range(3), workers=1, ahead=1)) as found:
        next(found)
        assert second.wait(60)


def test_an_error_comes_in_its_turn_and_nothing_is_left():
    found = in_threads(lambda n: 1 // n, [1, 1, 0, 1], workers=2)
    assert [next(found), next(found)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert not readers() and next(found, "over") == "over"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_of_who_uses_the_results_ends_the_threads(error):
    done = []
    with pytest.raises(error), closing(in_threads(done.append, range(1000), workers=2, ahead=4)) as found:
        for number, _ in enumerate(found):
            if number == 5:
                raise error
    assert not readers() and len(done) <= 10


@needs_fifo
def test_a_file_that_does_not_come_is_named_again_and_again_and_used_when_it_comes(fifo, tmp_path, monkeypatch):
    monkeypatch.setattr(prefetch, "STALLED", 0.01)
    before, after = tmp_path / "a.jpg", tmp_path / "z.jpg"
    before.write_bytes(b"first")
    after.write_bytes(b"last")
    with on_warning(prefetch.log, 3, lambda: fifo.write_bytes(b"late"), about=fifo) as records:
        found = list(in_threads(read_bytes, [before, fifo, after], workers=2))
    assert found == [b"first", b"late", b"last"]
    assert [record.args[0] for record in records] == [fifo] * 3
    assert all(2 * a.args[1] <= b.args[1] for a, b in pairwise(records))
    assert f"{fifo} has not come for 0 s" in records[0].getMessage() and not readers()


@needs_fifo
def test_each_of_many_files_in_one_task_has_its_own_time(fifo, tmp_path, monkeypatch):
    monkeypatch.setattr(prefetch, "STALLED", 0.01)
    paths = [tmp_path / "a.jpg", fifo]
    paths[0].write_bytes(b"first")
    with on_warning(prefetch.log, 1, lambda: fifo.write_bytes(b"late"), about=fifo) as records:
        found = list(in_threads(lambda group: [read_bytes(path) for path in group], [paths]))
    assert found == [[b"first", b"late"]] and [record.args[0] for record in records] == [fifo]


def test_what_takes_long_and_reads_nothing_is_no_stall(monkeypatch, caplog):
    monkeypatch.setattr(prefetch, "STALLED", 0.001)
    started = time.monotonic()
    list(in_threads(lambda _: until(lambda: time.monotonic() > started + 0.05), [0]))
    assert not caplog.records


@needs_fifo
def test_who_stops_does_not_wait_for_a_file_that_does_not_come(fifo, monkeypatch):
    monkeypatch.setattr(prefetch, "LET_GO", 0.01)
    found = in_threads(lambda path: path and read_bytes(path), [None, fifo, None], workers=1)
    assert next(found) is None
    until(lambda: longest_read() > 0)
    found.close()
    (thread,) = readers()
    assert thread.daemon and read_of(thread.ident).path == fifo
    fifo.write_bytes(b"late")
    thread.join(60)
    assert not thread.is_alive() and longest_read() == 0


@needs_fifo
def test_ctrl_c_ends_a_process_whose_file_does_not_come(fifo, tmp_path):
    code = (
        "import logging, sys; from pathlib import Path; from unveil.data import prefetch\n"
        "from unveil.data.fitting import CropSize; from unveil.data.store.image_store import open_store\n"
        "from unveil.records import Sample\n"
        "logging.basicConfig(); prefetch.STALLED = 0.01\n"
        "open_store([Sample('a', Path(sys.argv[1]))], CropSize(8, 4), cache=Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(fifo), str(tmp_path / "cache")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert str(fifo) in process.stderr.readline()
    process.send_signal(2)
    _, error = process.communicate(timeout=60)
    assert process.returncode and "KeyboardInterrupt" in error
    assert not [path for path in (tmp_path / "cache").glob("*") if path.is_dir()]


def test_a_read_is_noted_while_it_lasts_and_after_an_error_no_more(tmp_path):
    this = threading.get_ident()
    with reading(tmp_path):
        assert read_of(this).path == tmp_path and 0 < read_of(this).seconds <= longest_read()
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none")
    assert read_of(this) is None and read_of(None) is None and longest_read() == 0


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="the system does not tell threads' times")
def test_the_processor_time_of_the_threads_is_known_while_they_live_and_after():
    def compute(_):
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass

    before = processor_seconds()
    with closing(in_threads(compute, range(2), workers=1)) as found:
        next(found)
        assert processor_seconds() >= before + 0.02
        next(found)
    assert before + 0.04 <= processor_seconds() < before + 60
