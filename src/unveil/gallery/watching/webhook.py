"""Alerts to another program over HTTP: in a thread of its own, tried again with growing waits, never for ever."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from unveil.errors import DataError

SECONDS = 10.0  # that the other side may take
WAITS = (1.0, 2.0, 4.0)  # seconds before each further try
MAX_WAITING = 1_000
LAST_SECONDS = 60.0  # for what waits in the end


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An alert goes to the address that was named, and nowhere that it points to."""

    def redirect_request(self, *args: Any, **more: Any) -> None:
        """Follow nothing."""


class Webhook:
    """Sends alerts as JSON, in order.

    Args:
        address: http:// or https://.
        failed: called with a sentence for each alert that could not be delivered.
        waits: seconds before each further try.

    Raises:
        DataError: it is no such address.
    """

    def __init__(self, address: str, failed: Callable[[str], None], *, waits: tuple[float, ...] = WAITS) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DataError(f"a webhook is an address that begins with http:// or https://, got {address[:60]!r}")
        self._address = address
        self._shown = f"{parts.scheme}://{parts.hostname}"  # the rest may hold a secret
        self._failed = failed
        self._waits = waits
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(MAX_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    def send(self, alert: Mapping[str, Any]) -> None:
        """Deliver an alert some time soon; where a thousand wait already it is said to be lost."""
        try:
            self._waiting.put_nowait(dict(alert))
        except queue.Full:
            self._failed(f"{self._shown} takes nothing: {MAX_WAITING} alerts wait, this one is not delivered")

    def close(self) -> None:
        """Deliver what waits, each with one try, and end; what takes longer than a minute is said to be lost."""
        self._closing.set()
        with contextlib.suppress(queue.Full):  # then the thread waits for nothing, and ends once all is delivered
            self._waiting.put_nowait(None)
        self._thread.join(LAST_SECONDS)
        if self._thread.is_alive():
            self._failed(f"{self._shown} is too slow: alerts that wait for it are not delivered")

    def _work(self) -> None:
        while not (self._closing.is_set() and self._waiting.empty()):
            alert = self._waiting.get()
            if alert is None:
                break
            words = self._try(alert)
            for wait in self._waits:
                if words is None or self._closing.wait(wait):
                    break
                words = self._try(alert)
            if words is not None:
                self._failed(f"an alert was not delivered to {self._shown}: {words}")

    def _try(self, alert: Mapping[str, Any]) -> str | None:
        """Send once; return what went wrong."""
        body = json.dumps(alert).encode()
        request = urllib.request.Request(
            self._address, body, {"Content-Type": "application/json", "User-Agent": "unveil"}, method="POST"
        )
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return None if 200 <= answer.status < 300 else f"it answered {answer.status}"
        except urllib.error.HTTPError as e:
            return f"it answered {e.code}"
        except (OSError, ValueError) as e:
            return str(getattr(e, "reason", e)) or type(e).__name__
        except http.client.HTTPException as e:  # its words are what the other side sent, or hold the whole address
            return f"HTTP failed: {type(e).__name__}"
