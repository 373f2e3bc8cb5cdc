"""Requests to the service, sent again where that is safe and may help."""

from __future__ import annotations

import email.message
import http.client
import ipaddress
import json
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any, Mapping, Optional, Tuple

from .errors import Invalid, OnceError, Unavailable, kind_of

FIRST_PAUSE = 0.2
"""Seconds before the second attempt; it doubles from there."""
LONG_PAUSE = 5.0
"""The longest between two attempts; a later Retry-After is not waited for."""
PATIENCE = 30.0
"""For all attempts of one request together, beside what the service is asked to wait."""
MAX_ANSWER = 16 << 20
"""Bytes of an answer."""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for this service and nobody else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: email.message.Message, newurl: str
    ) -> None:
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Transport:
    """Sends requests. It is safe for many threads."""

    def __init__(self, base_url: str, token: str, timeout: float, attempts: int, context: Optional[ssl.SSLContext]) -> None:
        parts = urllib.parse.urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("base_url: want http or https, a host, and no user, query or fragment")
        if not all("!" <= c <= "~" for c in token):
            raise ValueError("token: want visible ASCII without spaces")
        if timeout <= 0 or attempts < 1:
            raise ValueError("timeout and attempts: want more than 0")
        self._base = base_url.rstrip("/")
        self._token = token
        self.timeout = timeout
        self.attempts = attempts
        handlers: "list[urllib.request.BaseHandler]" = [_StayHere()]
        if _is_loopback(parts.hostname):
            handlers.append(urllib.request.ProxyHandler({}))
        if context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def send(
        self,
        operation: str,
        method: str,
        path: str,
        body: Optional[Mapping[str, Any]] = None,
        *,
        wait: float = 0,
        attempts: int = 0,
        timeout: float = 0,
    ) -> Tuple[Mapping[str, Any], int]:
        """The answer, and how often it was asked for. Every request of the API may be
        sent again as it is."""
        data = None if body is None else encode(operation, body)
        ends = time.monotonic() + wait + PATIENCE
        pause, sent = FIRST_PAUSE, 0
        while True:
            sent += 1
            try:
                return self._attempt(operation, method, path, data, wait + (timeout or self.timeout)), sent
            except OnceError as error:
                left = ends - time.monotonic()
                delay = max(error.retry_after, pause * random.uniform(0.5, 1))
                if not _passes(error) or sent >= (attempts or self.attempts) or delay > left:
                    error.sent = sent
                    raise
                time.sleep(delay)
                pause = min(2 * pause, LONG_PAUSE)

    def _attempt(self, operation: str, method: str, path: str, data: Optional[bytes], timeout: float) -> Mapping[str, Any]:
        request = urllib.request.Request(self._base + path, data=data, method=method, headers={"Accept": "application/json"})
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_header("Authorization", "Bearer " + self._token)
        try:
            try:
                with self._opener.open(request, timeout=timeout) as answer:
                    status, headers, text = answer.status, answer.headers, _read(answer)
            except urllib.error.HTTPError as refused:
                with refused:
                    raise _problem(operation, refused.code, refused.headers, refused.read(MAX_ANSWER)) from None
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            reason = getattr(error, "reason", error)
            raise Unavailable(operation, str(reason) or type(reason).__name__, absent=True) from error
        if status != 200:
            raise _problem(operation, status, headers, text)
        if len(text) > MAX_ANSWER:
            raise Invalid(operation, f"the answer is over {MAX_ANSWER} bytes", status=status)
        try:
            value = json.loads(text)
        except ValueError as error:
            raise Invalid(operation, "the answer is not the service's", status=status) from error
        if not isinstance(value, dict):
            raise Invalid(operation, "the answer is not the service's", status=status)
        return value


def encode(operation: str, value: Any) -> bytes:
    """Value as JSON, or Invalid."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(operation, f"no JSON: {error}") from error


def _read(answer: Any) -> bytes:
    text: bytes = answer.read(MAX_ANSWER + 1)
    if len(text) <= MAX_ANSWER and answer.length:  # read says nothing when the connection ends early
        raise http.client.IncompleteRead(text, answer.length)
    return text


def _passes(error: OnceError) -> bool:
    """Whether the same request may fare better in a moment."""
    asked = error.status == 503 and 0 < error.retry_after <= LONG_PAUSE
    return error.absent or asked or error.type == "record-changed"


def _problem(operation: str, status: int, headers: Any, text: bytes) -> OnceError:
    """What an answer says that is not 200."""
    type_, detail, record = "", "", ""
    if headers.get_content_type() == "application/problem+json":
        try:
            value = json.loads(text)
            type_ = str(value.get("type", "")).rpartition("/")[2]
            detail = str(value.get("detail") or value.get("title") or "")
            record = str(value.get("record", ""))
        except (ValueError, AttributeError):
            pass
    after = headers.get("Retry-After", "")
    kind = kind_of(type_, status)
    return (kind or Unavailable)(
        operation,
        detail or f"answered with {status}",
        status=status,
        type=type_,
        record=record,
        retry_after=float(after) if after.isascii() and after.isdigit() else 0,
        absent=kind is None,
    )
