"""The client."""

from __future__ import annotations

import functools
import inspect
import json
import math
import secrets
import ssl
import time
import urllib.parse
from contextvars import Token
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Type, TypeVar, Union

from .errors import (
    Denied,
    Duplicate,
    InFlight,
    Invalid,
    LeaseLost,
    NotApplied,
    NotKept,
    NotRecorded,
    OnceError,
    Unavailable,
    Uncertain,
)
from .run import Run, _current, _Keeper, log
from .transport import Transport, encode
from .values import Answer, Lease, Money, Outcome, Page, Record

WAIT_SLICE = 5.0
"""Seconds that one check waits at most: the service does not wake for a lease that
runs out, and proxies cut what is long."""

WAIT_PAUSE = 0.1
"""Seconds between two of them."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class _Request:
    key: str
    scope: str
    input: Any
    lease: float
    ttl: float
    remember: float
    wait: float
    agent: str
    tool: str
    spend: Sequence[Money]
    metadata: Any
    fail_open: bool
    token: str

    def __post_init__(self) -> None:
        if not self.lease > 0 or not self.ttl >= 0 or not self.remember >= 0:
            raise ValueError("lease, ttl and remember: want seconds, and a lease of more than 0")

    def wire(self) -> Dict[str, Any]:
        """As the service reads it: seconds are whole, and a part of one counts as one."""
        out: Dict[str, Any] = {
            "key": self.key,
            "scope": self.scope,
            "token": self.token,
            "lease_s": math.ceil(self.lease),
            "ttl_s": math.ceil(self.ttl),
            "remember_s": math.ceil(self.remember),
            "wait_s": math.ceil(max(self.wait, 0)),
            "agent": self.agent,
            "tool": self.tool,
            "spend": [m.wire() for m in self.spend],
            "fail_open": self.fail_open,
        }
        if self.input is not None:
            out["input"] = self.input
        if self.metadata is not None:
            out["metadata"] = self.metadata
        return out


class Client:
    """Asks one service. It is safe for many threads.

    base_url: such as "http://127.0.0.1:8305". token: None, or empty, for a service that has none.
    timeout: seconds for one attempt. attempts: of one request. context: for https.
    """

    def __init__(
        self,
        base_url: str,
        token: Optional[str] = None,
        *,
        timeout: float = 10.0,
        attempts: int = 5,
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._transport = Transport(base_url, token or "", timeout, attempts, context)
        self.timeout = timeout

    def once(
        self,
        key: Union[str, Callable[..., str]],
        *,
        scope: str = "",
        input: Any = None,
        lease: float = 60.0,
        ttl: float = 0,
        remember: float = 0,
        wait: float = 30.0,
        agent: str = "",
        tool: str = "",
        spend: Sequence[Money] = (),
        metadata: Any = None,
        fail_open: bool = False,
    ) -> Once:
        """Something that happens at most once for the key.

        In a with statement the body runs at most once, and Duplicate is raised where it
        was done before. As a decorator it gives the result of the one time to every call;
        key and input may be functions of the call's arguments then.

        lease, ttl, remember and wait are seconds: how long it counts as under way after
        the last extension; how long the result is kept, and how long it is known that it
        was done (0: the service's defaults); how long to wait for somebody else.

        fail_open does it all the same when nobody can be asked. Then nothing keeps it
        from being done twice, and no cap, list or switch counts.
        """
        return Once(
            self,
            key,
            _Request("", scope, input, lease, ttl, remember, wait, agent, tool, tuple(spend), metadata, fail_open, ""),
        )

    def do(self, key: str, work: Callable[[Run], Any], **options: Any) -> Outcome:
        """Calls work(run) at most once for the key, and gives everybody who asks the
        result of the one time. Options are those of once."""
        return self.once(key, **options).do(work)

    def check(
        self,
        key: str,
        *,
        scope: str = "",
        input: Any = None,
        lease: float = 60.0,
        ttl: float = 0,
        remember: float = 0,
        wait: float = 0,
        agent: str = "",
        tool: str = "",
        spend: Sequence[Money] = (),
        metadata: Any = None,
        fail_open: bool = False,
        token: str = "",
    ) -> Answer:
        """Asks whether to do something. Whoever gets execute has the lease, keeps it with
        extend, and ends it with complete, release or doubt. An answer that is lost is
        asked for again, with the same token, which must be random, of 16 to 200 bytes,
        and new for each attempt; one is made where it is empty."""
        return self._check(
            _Request(
                key, scope, input, lease, ttl, remember, wait, agent, tool, tuple(spend), metadata, fail_open, token or secrets.token_urlsafe(24)
            )
        )

    def extend(self, lease: Lease, seconds: float = 0) -> Lease:
        """Makes the lease last for some seconds from now, or for as long as before."""
        return self._extend(lease, seconds)

    def complete(self, lease: Lease, result: Any = None, spent: Sequence[Money] = ()) -> None:
        """Says that it was done, with the result for all who ask later. To complete again
        with the same result is no error."""
        self._settle("complete", lease, {"result": result, "spent": [m.wire() for m in spent]})

    def release(self, lease: Lease, reason: str = "") -> None:
        """Says that it was not done, and that this is proved: the next may start it."""
        try:
            self._settle("release", lease, {"reason": _short(reason)})
        except LeaseLost as error:
            if error.sent == 1:
                raise  # else by the first one, whose answer was lost

    def doubt(self, lease: Lease, reason: str = "") -> None:
        """Says that nobody knows whether it was done: nothing starts until somebody has
        found out."""
        self._settle("doubt", lease, {"reason": _short(reason)})

    def get(self, record: str) -> Record:
        """A record by its ID, or NotFound."""
        raw, _ = self._transport.send("get", "GET", "/v1/records/" + urllib.parse.quote(record, safe=""))
        return _parse("get", lambda: Record.parse(raw))

    def list(self, *, state: str = "", key: str = "", cursor: str = "", limit: int = 0) -> Page:
        """A page of records. With a key, a page may hold fewer than the limit, or none,
        and still not be the last."""
        wanted = {"state": state, "key": key, "cursor": cursor, "limit": str(limit or "")}
        query = urllib.parse.urlencode({name: value for name, value in wanted.items() if value})
        raw, _ = self._transport.send("list", "GET", "/v1/records?" + query)
        return _parse("list", lambda: Page([Record.parse(r) for r in raw.get("records") or []], str(raw.get("cursor", ""))))

    def _check(self, request: _Request, attempts: int = 0) -> Answer:
        raw, _ = self._transport.send("check", "POST", "/v1/check", request.wire(), wait=math.ceil(max(request.wait, 0)), attempts=attempts)
        answer = _parse("check", lambda: Answer.parse(raw))
        if answer.status == "execute" and answer.lease is None and not answer.bypassed:
            raise Invalid("check", "execute without a lease", status=200)
        return answer

    def _extend(self, lease: Lease, seconds: float = 0, *, attempts: int = 0, timeout: float = 0) -> Lease:
        raw = self._settle("extend", lease, {"lease_s": math.ceil(seconds)}, attempts=attempts, timeout=timeout)
        return _parse("extend", lambda: Lease.parse(raw["lease"]))

    def _settle(self, operation: str, lease: Lease, body: Dict[str, Any], *, attempts: int = 0, timeout: float = 0) -> Any:
        try:
            raw, _ = self._transport.send(
                operation, "POST", "/v1/" + operation, {"lease": lease.wire(), **body}, attempts=attempts, timeout=timeout
            )
        except OnceError as error:
            error.record = lease.id
            raise
        if raw.get("ok") is not True:
            raise Invalid(operation, "the answer is not the service's", status=200, record=lease.id)
        return raw

    def _begin(self, request: _Request) -> Tuple[Answer, float]:
        """Asks until the answer is another than in flight, or the wait is over. The time
        is one before the lease began."""
        until = time.monotonic() + request.wait
        while True:
            since = time.monotonic()
            try:
                answer = self._check(replace(request, wait=max(0.0, min(until - since, WAIT_SLICE))))
            except OnceError as error:
                if error.absent and not request.fail_open:
                    self._abandon(request)
                raise
            except BaseException:  # somebody interrupts
                self._abandon(request)
                raise
            if answer.status != "in_flight" or time.monotonic() >= until:
                return answer, since
            time.sleep(WAIT_PAUSE)

    def _abandon(self, request: _Request) -> None:
        """Gives back a start that may stand although nobody heard of it, so that it does
        not become uncertain. It asks once: who cannot be reached is left alone."""
        try:
            answer = self._check(replace(request, wait=0, fail_open=False), attempts=1)
            if answer.lease is not None:
                self.release(answer.lease, "the caller went away before it began")
        except OnceError as error:
            log.info("a start that nobody heard of may stand: %s", error)

    def _start(self, request: _Request) -> Tuple[Answer, Optional[Run]]:
        """What is there, and a run where this is the one."""
        request = replace(request, lease=float(math.ceil(request.lease)), token=secrets.token_urlsafe(24))  # two calls are two
        try:
            answer, since = self._begin(request)
        except OnceError as error:
            if not (request.fail_open and error.absent):
                raise
            return self._bypass(request, str(error))
        if answer.bypassed:
            return self._bypass(request, answer.reason)
        _raise_unless_done(answer)
        if answer.lease is None:
            return answer, None
        if time.monotonic() - since > request.lease / 3:  # it may be older than it looks
            since = time.monotonic()
            try:
                self._extend(answer.lease)
            except OnceError:
                _quietly(self.release, answer.lease, "the lease was not extended before it began")
                raise
        run = Run(answer.lease)
        run._keeper = _Keeper(self, run, answer.lease, request.lease, since)
        return answer, run

    def _bypass(self, request: _Request, why: str) -> Tuple[Answer, Run]:
        log.warning("run-once cannot be asked, and this goes on unguarded: key %r, scope %r: %s", request.key, request.scope, why)
        return Answer("execute", bypassed=True), Run()

    def _end(self, run: Run, error: Optional[BaseException]) -> Any:
        """Says how a run ended, and gives its result as JSON gives it back."""
        if run._keeper is not None:
            run._keeper.stop()
        if run.lease is None:
            return None if error else json.loads(encode("complete", run.result))
        if isinstance(error, NotApplied) and not error.released:
            error.released = True
            self.release(run.lease, str(error))
        elif error is not None:
            _quietly(self.doubt, run.lease, _text(error))
        else:
            return self._done(run, run.lease)
        return None

    def _done(self, run: Run, lease: Lease) -> Any:
        try:
            result = json.loads(encode("complete", run.result))
            self.complete(lease, run.result, run.spent)
            return result
        except OnceError as error:
            if not isinstance(error, (Unavailable, LeaseLost)):
                _quietly(self.doubt, lease, f"it was done, and that could not be recorded: {error}")
            failed = NotRecorded("complete", str(error), record=lease.id)
            failed.result = run.result
            raise failed from error


class Once:
    """Something that happens at most once: made by Client.once."""

    def __init__(self, client: Client, key: Union[str, Callable[..., str]], request: _Request) -> None:
        self._client, self._key, self._request = client, key, request
        self._entered: List[Tuple[Run, Token[Optional[Run]]]] = []

    def __enter__(self) -> Run:
        if not isinstance(self._key, str):
            raise TypeError("key: want a string in a with statement")
        if self._entered:
            raise RuntimeError("this one runs already: call once again for another")
        answer, run = self._client._start(replace(self._request, key=self._key))
        if run is None:
            found = Duplicate("check", record=answer.record)
            found.result = answer.result
            raise found
        self._entered.append((run, _current.set(run)))
        return run

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        run, token = self._entered.pop()
        _current.reset(token)
        self._client._end(run, error)

    def do(self, work: Callable[[Run], Any]) -> Outcome:
        """Calls work(run), or gives the result of the one time that it was called."""
        if not isinstance(self._key, str):
            raise TypeError("key: want a string")
        return self._do(replace(self._request, key=self._key), work)

    def _do(self, request: _Request, work: Callable[[Run], Any]) -> Outcome:
        answer, run = self._client._start(request)
        if run is None:
            return Outcome(answer.result, replayed=True, record=answer.record)
        token = _current.set(run)
        try:
            run.result = work(run)
        except BaseException as error:
            self._client._end(run, error)
            raise
        finally:
            _current.reset(token)
        return Outcome(self._client._end(run, None), ran=True, bypassed=run.bypassed, record=run.record)

    def __call__(self, function: F) -> F:
        """Decorates a function, whose calls give the result of the one time."""
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("want a plain function: this one would go on after it has returned")

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            key, given = self._key, self._request.input
            request = replace(
                self._request,
                key=key if isinstance(key, str) else key(*args, **kwargs),
                input=given(*args, **kwargs) if callable(given) else given,
            )
            return self._do(request, lambda run: function(*args, **kwargs)).result

        return guarded  # type: ignore[return-value]


def _raise_unless_done(answer: Answer) -> None:
    """Raises where there is neither a lease nor a result."""
    record = answer.record
    if answer.status == "duplicate" and not answer.kept:
        raise NotKept("check", record=record)
    if answer.status == "in_flight":
        raise InFlight("check", f"until {answer.lease_ends_at}", record=record)
    if answer.status == "uncertain":
        raise Uncertain("check", answer.reason, record=record)
    if answer.status == "denied":
        raise Denied("check", answer.reason, record=record)
    if answer.status not in ("execute", "duplicate"):
        raise Invalid("check", f"status {answer.status[:20]!r}", record=record)


def _quietly(settle: Callable[[Lease, str], None], lease: Lease, reason: str) -> None:
    """It becomes uncertain by itself, if this fails."""
    try:
        settle(lease, reason)
    except OnceError as error:
        log.info("%s", error)


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def _short(reason: str) -> str:
    """What the service keeps of a reason."""
    return reason.encode("utf-8", "replace")[:1000].decode("utf-8", "ignore")


T = TypeVar("T")


def _parse(operation: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(operation, "the answer is not the service's", status=200) from error
