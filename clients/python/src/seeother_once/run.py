"""Work that has the lease."""

from __future__ import annotations

import logging
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Optional, Sequence

from .errors import Denied, LeaseLost, OnceError
from .values import Lease, Money

if TYPE_CHECKING:
    from .client import Client

log = logging.getLogger("seeother_once")

_current: ContextVar[Optional[Run]] = ContextVar("seeother_once_run", default=None)


def current_run() -> Optional[Run]:
    """The run that the calling code is in; None: it is in none."""
    return _current.get()


class Run:
    """Work that runs: put what it gives into result."""

    def __init__(self, lease: Optional[Lease] = None) -> None:
        self.lease = lease
        """None where it is bypassed. Its generation is a fencing token."""
        self.result: Any = None
        """What all who ask later get; it must become JSON."""
        self.spent: Sequence[Money] = ()
        """What it really cost; a currency that is missing cost what was reserved."""
        self.lost = threading.Event()
        """Set when the lease is lost: stop then."""
        self.loss: Optional[OnceError] = None
        """Why: LeaseLost, or Denied where the agent was switched off."""
        self._keeper: Optional[_Keeper] = None

    @property
    def bypassed(self) -> bool:
        """It runs unguarded, since nobody could be asked and fail_open is set."""
        return self.lease is None

    @property
    def record(self) -> str:
        """The record's ID; empty where it is bypassed."""
        return self.lease.id if self.lease else ""

    def raise_if_lost(self) -> None:
        """Raises LeaseLost, or Denied, when the lease is lost."""
        if self.lost.is_set():
            raise self.loss or LeaseLost("extend", record=self.record)


class _Keeper:
    """Extends a lease until it is stopped, or the lease is lost. One thread asks, and
    another looks at the clock, since a request may hang."""

    def __init__(self, client: Client, run: Run, lease: Lease, length: float, since: float) -> None:
        self._client, self._run, self._lease, self._length = client, run, lease, length
        self._ends = since + length  # by our own clock, and not after the service's
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=loop, name="seeother-once", daemon=True) for loop in (self._extend, self._watch)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when nothing extends any more, or a request hangs."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(self._client.timeout)

    def _extend(self) -> None:
        pause = self._length / 3
        while not self._stopped.wait(pause):
            sent = time.monotonic()
            left = self._ends - sent
            if left <= 0 or self._run.lost.is_set():
                return
            try:
                self._client._extend(self._lease, attempts=1, timeout=min(left, self._client.timeout))
            except (LeaseLost, Denied) as error:
                self._lose(error)
                return
            except OnceError as error:
                log.info("a lease could not be extended: %s", error)
                pause = min(self._length / 12, 1.0)
            else:
                self._ends, pause = sent + self._length, self._length / 3

    def _watch(self) -> None:
        while not self._stopped.wait(max(self._ends - time.monotonic(), 0.001)):
            if self._run.lost.is_set():
                return
            if time.monotonic() >= self._ends:
                self._lose(LeaseLost("extend", "it could not be extended in time", record=self._lease.id))
                return

    def _lose(self, error: OnceError) -> None:
        if self._stopped.is_set() or self._run.lost.is_set():
            return
        log.warning("a lease is lost while its work runs: %s", error)
        self._run.loss = error
        self._run.lost.set()
