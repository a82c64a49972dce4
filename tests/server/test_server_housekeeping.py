"""What is done now and then though nobody asks, and where a server may listen."""

import logging
import threading
from pathlib import Path

import pytest

from unveil.errors import UnveilError
from unveil.server.housekeeping import Housekeeping
from unveil.server.settings import check_binding, is_loopback


class Task:
    """Counts its calls; `often` is set at the third."""

    def __init__(self, error=None):
        self.calls, self.error, self.often = 0, error, threading.Event()

    def __call__(self):
        self.calls += 1
        if self.calls >= 3:
            self.often.set()
        if self.error is not None:
            raise self.error


def named(task, name):
    task.__qualname__ = name
    return task


def test_each_task_is_called_in_its_time_and_once_more_at_the_end():
    often, never = named(Task(), "often"), named(Task(), "never")
    kept = Housekeeping({often: 0.01, never: 3600.0})
    assert often.often.wait(20)
    assert never.calls == 0
    kept.close()
    assert never.calls == 1
    done = often.calls
    assert done >= 4 and not kept._thread.is_alive()


def test_a_task_that_fails_is_called_again_and_keeps_no_other_from_its_turn(caplog):
    silent, broken = named(Task(UnveilError("the store is down")), "ask"), named(Task(ValueError("a bug")), "count")
    fine = named(Task(), "fine")
    with caplog.at_level(logging.DEBUG, "unveil.server"):
        kept = Housekeeping({silent: 0.01, broken: 0.01, fine: 0.01})
        assert all(task.often.wait(20) for task in (silent, broken, fine))
        kept.close()
    said = {(record.levelname, record.getMessage()) for record in caplog.records}
    assert said == {("DEBUG", "ask: the store is down"), ("ERROR", "count failed")}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_this_machine_alone_needs_no_tokens(host):
    assert is_loopback(host)
    check_binding(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.org", "localhost.example.org", ""])
def test_other_addresses_need_tokens(host):
    assert not is_loopback(host)
    with pytest.raises(UnveilError) as refused:
        check_binding(host, None)
    assert str(refused.value) == (
        f"without tokens the server listens on loopback only, not on {host}: make a token with "
        "`unveil serve --new-token NAME --role reader --tokens tokens.json` and start with --tokens tokens.json"
    )
    check_binding(host, Path("tokens.json"))
