"""What goes to the service and comes from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional


@dataclass(frozen=True)
class Money:
    """An amount in whole millionths of a currency."""

    currency: str
    micros: int

    def wire(self) -> Dict[str, Any]:
        return {"currency": self.currency, "amount_micros": self.micros}


@dataclass(frozen=True)
class Lease:
    """The right to do something, and to say how it went. Its token is a secret."""

    id: str
    generation: int
    token: str = field(repr=False)
    ends_at: str = ""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Lease:
        return cls(str(raw["id"]), int(raw["generation"]), str(raw["token"]), str(raw.get("ends_at", "")))

    def wire(self) -> Dict[str, Any]:
        return {"id": self.id, "generation": self.generation, "token": self.token}


@dataclass(frozen=True)
class Answer:
    """What a check found under a key."""

    status: str
    """execute, duplicate, in_flight, uncertain, denied"""
    record: str = ""
    lease: Optional[Lease] = None
    """Of execute, unless it is bypassed."""
    result: Any = None
    """Of a duplicate, when kept."""
    kept: bool = False
    first_seen_at: str = ""
    lease_ends_at: str = ""
    reason: str = ""
    bypassed: bool = False
    """The service's store is down, and fail_open was set: there is no lease."""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Answer:
        lease = raw.get("lease")
        return cls(
            status=str(raw["status"]),
            record=str(raw.get("record", "")),
            lease=Lease.parse(lease) if lease else None,
            result=raw.get("result"),
            kept=bool(raw.get("result_kept")),
            first_seen_at=str(raw.get("first_seen_at", "")),
            lease_ends_at=str(raw.get("lease_ends_at", "")),
            reason=str(raw.get("reason", "")),
            bypassed=raw.get("guard") == "bypassed",
        )


@dataclass(frozen=True)
class Outcome:
    """What was found or done."""

    result: Any
    """Of this run, or of the one time that it was done, as JSON gives it back."""
    ran: bool = False
    """The work was called, here and now."""
    replayed: bool = False
    """It was done before, and this is the result of then."""
    bypassed: bool = False
    """It ran unguarded, since nobody could be asked and fail_open is set."""
    record: str = ""
    """The record's ID; empty where it is bypassed."""


@dataclass(frozen=True)
class Record:
    """What the service knows of a key. It holds no key, input or result."""

    id: str
    state: str
    """started, completed, released, uncertain"""
    generation: int
    agent: str
    tool: str
    key_hash: str
    reason: str
    started: str
    ended: str
    lease_ends: str
    kept: bool
    resolved_by: str
    spent: Mapping[str, int]

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Record:
        def text(name: str) -> str:
            return str(raw.get(name, ""))

        return cls(
            id=str(raw["id"]),
            state=str(raw["state"]),
            generation=int(raw.get("generation", 0)),
            agent=text("route"),
            tool=text("path"),
            key_hash=text("keyHash"),
            reason=text("reason"),
            started=text("started"),
            ended=text("ended"),
            lease_ends=text("leaseEnds"),
            kept=bool(raw.get("bodyKept")),
            resolved_by=text("resolvedBy"),
            spent=dict(raw.get("spent") or {}),
        )


@dataclass(frozen=True)
class Page:
    """One page of a list; cursor is empty on the last."""

    records: List[Record]
    cursor: str
