"""What can go wrong. No error holds a token."""

from __future__ import annotations

from typing import Any, Dict, Optional, Type


class OnceError(Exception):
    """Every error of this package but NotApplied, which is the caller's to raise."""

    summary = "run-once"

    def __init__(
        self,
        operation: str,
        detail: str = "",
        *,
        status: int = 0,
        type: str = "",
        record: str = "",
        retry_after: float = 0,
        absent: bool = False,
    ) -> None:
        self.operation = operation
        """What was asked: "check", "complete"."""
        self.detail = detail
        """For people."""
        self.status = status
        """Of the answer; 0: there was none."""
        self.type = type
        """Of the problem, its last part: "key-reused"; empty: it was none."""
        self.record = record
        """The record's ID, where it is known."""
        self.retry_after = retry_after
        """Seconds, as the service asks for; 0: nothing."""
        self.absent = absent
        """Nobody of the service answered."""
        self.sent = 1
        """How often it was asked."""
        super().__init__()

    def __str__(self) -> str:
        parts = [self.operation, self.record and f"record {self.record}", self.summary, self.detail]
        return ": ".join(part for part in parts if part)


class Unavailable(OnceError):
    """The service, or its store, cannot be asked."""

    summary = "the run-once service cannot be asked"


class InFlight(OnceError):
    """Somebody else does it at this moment."""

    summary = "somebody else is doing it"


class Uncertain(OnceError):
    """It was begun, and nobody knows what became of it."""

    summary = "nobody knows whether it was done"


class NotKept(OnceError):
    """It was done before, and the result is not kept."""

    summary = "it was done before, and its result is not kept"


class Duplicate(OnceError):
    """It was done before: a with statement does not run its body again."""

    summary = "it was done before"

    result: Any = None
    """That of the one time."""


class Mismatch(OnceError):
    """The key was used before, with another input."""

    summary = "the key was used for something else"


class Denied(OnceError):
    """A spend cap, a list of tools or the agent's switch says no."""

    summary = "denied"


class LeaseLost(OnceError):
    """The lease does not hold its record any more."""

    summary = "the lease is lost"


class NotRecorded(OnceError):
    """It was done, and that could not be recorded. The reason is __cause__."""

    summary = "it was done, and that could not be recorded"

    result: Any = None
    """What the work gave."""


class Unauthorized(OnceError):
    """The token is missing or wrong."""

    summary = "the token is missing or wrong"


class TooManyUncertain(OnceError):
    """Nothing new starts until some records are resolved."""

    summary = "too much is uncertain"


class TooLarge(OnceError):
    """The request is larger than the service takes."""

    summary = "the request is too large"


class NotFound(OnceError):
    """There is no such record."""

    summary = "there is no such record"


class Invalid(OnceError):
    """The service does not take such a request, or what answered is not the service."""

    summary = "the request is not understood"


class NotApplied(Exception):
    """Raise it in the work: it is proved that nothing was done, and the next who asks
    may try again. It proves that for one run, the innermost."""

    released: bool = False


KINDS: Dict[str, Type[OnceError]] = {
    "agent-disabled": Denied,
    "body-too-large": TooLarge,
    "invalid-request": Invalid,
    "key-reused": Mismatch,
    "lease-lost": LeaseLost,
    "not-found": NotFound,
    "store-unavailable": Unavailable,
    "too-many-uncertain": TooManyUncertain,
    "unauthorized": Unauthorized,
}
"""What each problem type of the service is."""


def kind_of(type: str, status: int) -> Optional[Type[OnceError]]:
    """The error of a problem; None: of something in between, which may pass."""
    if type in KINDS:
        return KINDS[type]
    if not type and status in (502, 503, 504):
        return None
    return Unavailable if status >= 500 else Invalid
