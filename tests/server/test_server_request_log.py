"""The server's log of requests: a line each, whatever a request says."""

import logging


def test_nobody_writes_lines_or_commands_of_a_terminal_into_the_log(client, caplog):
    with caplog.at_level(logging.INFO, "unveil.server"):
        assert client.get("/x%0a1%20admin%20GET%20/api%1b[31m%7f%c2%9b%e2%80%ae%C3%A4").status_code == 404
    (line,) = [record.getMessage() for record in caplog.records if record.name == "unveil.server"]
    assert line.isascii() and line.isprintable()
    assert "GET /x%0A1%20admin%20GET%20/api%1B%5B31m%7F%C2%9B%E2%80%AE%C3%A4 404" in line
