"""Against a running service, which test/clients of the repository starts: its tests are
the same in each language."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from seeother_once import (
    Client,
    Denied,
    Duplicate,
    InFlight,
    LeaseLost,
    Mismatch,
    Money,
    NotApplied,
    NotFound,
    NotKept,
    NotRecorded,
    OnceError,
    Run,
    TooLarge,
    Unauthorized,
    Unavailable,
    Uncertain,
    current_run,
)

URL = os.environ.get("SEEOTHER_TEST_URL", "")
TOKEN = os.environ.get("SEEOTHER_TEST_TOKEN", "")
PATIENCE = 60.0

logging.getLogger("seeother_once").addHandler(logging.NullHandler())


class Boom(Exception):
    pass


@unittest.skipUnless(URL, "needs a service: run go test ./test/clients in the repository")
class ServiceTest(unittest.TestCase):
    def setUp(self) -> None:
        self.client = Client(URL, TOKEN, attempts=3)

    def other(self, name: str) -> Client:
        return Client(os.environ["SEEOTHER_TEST_" + name], TOKEN, attempts=3)

    def never(self, run: Run) -> NoReturn:
        self.fail("it ran")

    def want_doubt(self, key: str, reason: str) -> None:
        with self.assertRaises(Uncertain) as caught:
            self.client.do(key, self.never)
        self.assertIn(reason, str(caught.exception))

    def test_the_first_runs_and_a_duplicate_gets_its_result(self) -> None:
        first = self.client.do("duplicate", lambda run: {"receipt": 7}, input={"b": 1, "a": 2})
        self.assertTrue(first.ran and not first.replayed and first.record)
        again = self.client.do("duplicate", self.never, input={"a": 2, "b": 1})
        self.assertTrue(again.replayed and not again.ran)
        self.assertEqual((again.result, again.record), ({"receipt": 7}, first.record))
        found = self.client.get(first.record)
        self.assertEqual((found.state, found.kept, found.generation), ("completed", True, 1))
        self.assertEqual([r.id for r in self.client.list(key="duplicate", state="completed").records], [first.record])

    def test_a_with_statement_runs_once(self) -> None:
        with self.client.once(key="with") as run:
            self.assertIs(current_run(), run)
            run.result = [1, 2]
        self.assertIsNone(current_run())
        with self.assertRaises(Duplicate) as caught:
            with self.client.once(key="with"):
                self.fail("it ran")
        self.assertEqual(caught.exception.result, [1, 2])

    def test_a_decorated_function_runs_once_for_each_key(self) -> None:
        calls = []

        @self.client.once(key=lambda order, **_: f"order-{order}", input=lambda order, **more: more)
        def pay(order: int, **more: Any) -> Any:
            calls.append(order)
            return (order, more)

        self.assertEqual([pay(1, at="x"), pay(1, at="x"), pay(2)], [[1, {"at": "x"}], [1, {"at": "x"}], [2, {}]])
        self.assertEqual(calls, [1, 2])
        with self.assertRaises(Mismatch):
            pay(1, at="y")

    def test_what_returns_before_it_has_ended_is_not_decorated(self) -> None:
        async def later() -> None: ...

        with self.assertRaises(TypeError):
            self.client.once(key="async")(later)

    def test_a_result_of_nothing_is_one(self) -> None:
        for _ in range(2):
            self.assertIsNone(self.client.do("nothing", lambda run: None).result)

    def test_twenty_callers_at_once_run_once(self) -> None:
        runs = []

        def work(run: Run) -> int:
            runs.append(1)
            return len(runs)

        with ThreadPoolExecutor(20) as pool:
            outs = list(pool.map(lambda _: self.client.do("twenty", work, wait=PATIENCE).result, range(20)))
        self.assertEqual((outs, runs), ([1] * 20, [1]))

    def test_who_does_not_wait_long_enough_is_told_that_it_is_in_flight(self) -> None:
        with self.client.once(key="in flight"):
            with self.assertRaises(InFlight):
                self.client.do("in flight", self.never, wait=0)
            begun = time.monotonic()
            with self.assertRaises(InFlight):
                self.client.do("in flight", self.never, wait=1)
            self.assertGreaterEqual(time.monotonic() - begun, 1)

    def test_a_process_that_is_killed_leaves_doubt(self) -> None:
        child = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), "child.py")], stdout=subprocess.PIPE, text=True)
        assert child.stdout
        with child.stdout:
            self.assertEqual(child.stdout.readline().strip(), "running")
            child.kill()
            child.wait()
        ends = time.monotonic() + PATIENCE
        with self.assertRaises(Uncertain):
            while time.monotonic() < ends:
                try:
                    self.client.do("killed", self.never, wait=0)
                except InFlight:
                    time.sleep(0.1)

    def test_a_lease_is_extended_while_the_work_runs(self) -> None:
        with self.client.once(key="long", lease=3) as run:
            time.sleep(3.75)
            assert run.lease
            found = self.client.get(run.lease.id)
            self.assertEqual(found.state, "started")
            self.assertGreater(found.lease_ends[:19], run.lease.ends_at[:19])
            run.raise_if_lost()
            run.result = "done"
        self.assertEqual(self.client.do("long", self.never).result, "done")

    def test_work_whose_lease_was_settled_by_somebody_else_is_told(self) -> None:
        with self.assertRaises(NotRecorded) as caught:
            with self.client.once(key="taken", lease=3) as run:
                assert run.lease
                self.client.release(run.lease, "by the test")
                self.assertTrue(run.lost.wait(PATIENCE))
                with self.assertRaises(LeaseLost):
                    run.raise_if_lost()
                run.result = "too late"
        self.assertIsInstance(caught.exception.__cause__, LeaseLost)
        self.assertEqual(caught.exception.result, "too late")

    def test_work_whose_lease_cannot_be_extended_is_told_and_completes_late(self) -> None:
        def work(run: Run) -> str:
            self.assertTrue(run.lost.wait(PATIENCE))
            with self.assertRaises(LeaseLost):
                run.raise_if_lost()
            return "late"

        for n in range(10):
            try:
                self.other("DEAF").do(f"deaf {n}", work, lease=2)
            except Unavailable:  # a busy machine: it had to be extended before it began
                continue
            self.assertEqual(self.client.do(f"deaf {n}", self.never).result, "late")
            return
        self.fail("it never began in time")

    def test_an_error_that_proves_that_nothing_was_done_releases(self) -> None:
        with self.assertRaises(NotApplied):
            with self.client.once(key="released"):
                raise NotApplied("no stock")
        self.assertTrue(self.client.do("released", lambda run: 2).ran)

    def test_the_proof_of_an_inner_run_is_none_for_the_outer_one(self) -> None:
        with self.assertRaises(NotApplied):
            with self.client.once(key="outer"):
                with self.client.once(key="inner"):
                    raise NotApplied("no stock")
        self.want_doubt("outer", "no stock")
        self.assertTrue(self.client.do("inner", lambda run: 2).ran)

    def test_any_other_error_leaves_doubt(self) -> None:
        for kind in (Boom, KeyboardInterrupt):
            with self.subTest(kind), self.assertRaises(kind):
                with self.client.once(key=kind.__name__):
                    raise kind("boom")
            self.want_doubt(kind.__name__, "boom")

    def test_a_result_that_is_no_json_leaves_doubt(self) -> None:
        for name, result in (("object", object()), ("nan", float("nan"))):
            with self.subTest(name):
                with self.assertRaises(NotRecorded):
                    self.client.do("no JSON " + name, lambda run: result)
                self.want_doubt("no JSON " + name, "could not be recorded")

    def test_a_large_result_is_not_kept_and_a_larger_one_is_in_doubt(self) -> None:
        self.client.do("large", lambda run: "x" * (1 << 20))
        with self.assertRaises(NotKept):
            self.client.do("large", self.never)
        with self.assertRaises(NotRecorded) as caught:
            self.client.do("larger", lambda run: "x" * (2 << 20))
        self.assertIsInstance(caught.exception.__cause__, TooLarge)
        self.want_doubt("larger", "could not be recorded")

    def test_another_input_under_the_same_key_is_a_mismatch(self) -> None:
        self.client.do("mismatch", lambda run: 1, input=1)
        with self.assertRaises(Mismatch):
            self.client.do("mismatch", self.never, input=2)

    def test_a_service_that_is_down_lets_nothing_run(self) -> None:
        with self.assertRaises(Unavailable):
            self.other("DOWN").do("down", self.never)

    def test_who_fails_open_runs_all_the_same_and_says_so(self) -> None:
        with self.assertLogs("seeother_once", "WARNING") as logs:
            out = self.other("DOWN").do("open", lambda run: run.bypassed, fail_open=True)
        self.assertTrue(out.bypassed and out.ran and out.result)
        self.assertIn("unguarded", logs.output[0])

    def test_lost_answers_are_asked_for_again(self) -> None:
        lossy, runs = self.other("LOSSY"), []
        for _ in range(2):
            self.assertEqual(lossy.do("lossy", lambda run: runs.append(1) or len(runs)).result, 1)
        with self.assertRaises(NotApplied):
            with lossy.once(key="lossy release"):
                raise NotApplied("no stock")
        with self.assertRaises(Boom):
            with lossy.once(key="lossy doubt"):
                raise Boom("boom")
        self.want_doubt("lossy doubt", "boom")

    def test_a_cap_and_a_list_deny(self) -> None:
        def usd(micros: int) -> Any:
            return {"agent": "bot", "spend": [Money("USD", micros)]}

        with self.client.once(key="cheap", **usd(90)) as run:
            run.spent = [Money("USD", 40)]
        with self.assertRaises(Denied):
            self.client.do("dear", self.never, **usd(61))
        self.client.do("fits", lambda run: None, **usd(60))
        with self.assertRaises(Denied):
            self.client.do("rm", self.never, agent="bot", tool="rm")

    def test_a_wrong_token_is_refused_also_to_who_fails_open(self) -> None:
        wrong = "wrong-token-0123456789"
        with self.assertRaises(Unauthorized) as caught:
            Client(URL, wrong).do("token", self.never, fail_open=True)
        self.assertNotIn(wrong, str(caught.exception))

    def test_the_steps_can_be_taken_one_by_one(self) -> None:
        answer = self.client.check("steps")
        assert answer.lease
        lease = self.client.extend(answer.lease, 3600)
        self.assertGreater(lease.ends_at, answer.lease.ends_at)
        self.assertNotIn(lease.token, repr(answer))
        self.client.doubt(lease, "who knows")
        self.client.complete(lease, "known")  # by the same lease, late
        with self.assertRaises(LeaseLost):
            self.client.release(lease, "too late")
        with self.assertRaises(NotFound):
            self.client.get("none")

    def test_nothing_is_left_running(self) -> None:
        self.client.do("threads", lambda run: None)
        self.assertFalse([t for t in threading.enumerate() if t.name == "seeother-once"])

    def test_every_error_is_one_of_ours(self) -> None:
        with self.assertRaises(OnceError):
            self.client.check("k" * 256)


if __name__ == "__main__":
    unittest.main()
