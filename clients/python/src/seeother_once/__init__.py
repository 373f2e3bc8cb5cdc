"""Run something at most once, by asking the run-once service of seeother.

>>> client = Client("http://127.0.0.1:8305", token="...")
>>> @client.once(key=lambda order: f"pay-{order}")
... def pay(order):
...     return {"receipt": 7}
"""

from .client import Client, Once
from .errors import (
    Denied,
    Duplicate,
    InFlight,
    Invalid,
    LeaseLost,
    Mismatch,
    NotApplied,
    NotFound,
    NotKept,
    NotRecorded,
    OnceError,
    TooLarge,
    TooManyUncertain,
    Unauthorized,
    Unavailable,
    Uncertain,
)
from .run import Run, current_run
from .values import Answer, Lease, Money, Outcome, Page, Record

__all__ = [
    "Answer",
    "Client",
    "Denied",
    "Duplicate",
    "InFlight",
    "Invalid",
    "Lease",
    "LeaseLost",
    "Mismatch",
    "Money",
    "NotApplied",
    "NotFound",
    "NotKept",
    "NotRecorded",
    "Once",
    "OnceError",
    "Outcome",
    "Page",
    "Record",
    "Run",
    "TooLarge",
    "TooManyUncertain",
    "Unauthorized",
    "Unavailable",
    "Uncertain",
    "current_run",
]
