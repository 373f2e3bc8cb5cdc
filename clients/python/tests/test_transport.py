"""Against a service that answers as a test says."""

from __future__ import annotations

import json
import logging
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, NoReturn, Optional, Tuple, Type

from seeother_once import (
    Client,
    Denied,
    Invalid,
    LeaseLost,
    Mismatch,
    OnceError,
    Run,
    TooLarge,
    TooManyUncertain,
    Unauthorized,
    Unavailable,
)

logging.getLogger("seeother_once").addHandler(logging.NullHandler())

SECRET = "a-secret-token-0123456789"
LEASE = {"id": "r", "generation": 1, "token": "t"}
Answer = Optional[Tuple[int, str, str, Dict[str, str]]]


def text(status: int, kind: str, body: str, **headers: str) -> Answer:
    return status, kind, body, {name.replace("_", "-"): value for name, value in headers.items()}


def problem(status: int, type: str, **headers: str) -> Answer:
    return text(status, "application/problem+json", json.dumps({"type": "https://seeother.dev/problems/" + type, "detail": "Detail."}), **headers)


EXECUTE = text(200, "application/json", json.dumps({"status": "execute", "record": "r", "lease": LEASE}))
OK = text(200, "application/json", json.dumps({"ok": True, "lease": LEASE}))
HTML = text(200, "text/html", "<h1>Log in</h1>")
SHORT = text(200, "application/json", '{"sta', Content_Length="100")
HANG_UP: Answer = None


class Fake:
    """Answers each request with answer(n, path): n counts from 1 on."""

    def __init__(self, test: unittest.TestCase, answer: Callable[[int, str], Answer]) -> None:
        self.seen: List[Tuple[str, Any]] = []
        self.authorization: List[Optional[str]] = []
        fake, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    fake.seen.append((self.path.replace("/v1/", ""), body))
                    fake.authorization.append(self.headers["Authorization"])
                    n = len(fake.seen)
                found = answer(n, self.path)
                self.close_connection = True
                if found is None:
                    return
                status, kind, out, headers = found
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(out)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(out.encode())

            def log_message(self, *args: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *args: None  # type: ignore[method-assign]  # a client that went away is no trouble
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        test.addCleanup(server.server_close)
        test.addCleanup(thread.join)
        test.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}/"
        self.client = Client(self.url, SECRET, attempts=3)

    def paths(self) -> List[str]:
        return [path for path, _ in self.seen]


class TransportTest(unittest.TestCase):
    def never(self, run: Run) -> NoReturn:
        self.fail("it ran")

    def test_a_request_is_sent_again_only_where_that_may_help(self) -> None:
        cases: Dict[str, Tuple[Answer, int, Optional[Type[OnceError]]]] = {
            "the answer is lost": (HANG_UP, 2, None),
            "the answer breaks off": (SHORT, 2, None),
            "a proxy has no service": (text(502, "text/html", "bad gateway"), 2, None),
            "the store is down": (problem(503, "store-unavailable", Retry_After="1"), 2, None),
            "a record was changed meanwhile": (problem(409, "record-changed"), 2, None),
            "the service does not say when": (problem(503, "store-unavailable"), 1, Unavailable),
            "too much is uncertain": (problem(503, "too-many-uncertain", Retry_After="60"), 1, TooManyUncertain),
            "the token is wrong": (problem(401, "unauthorized"), 1, Unauthorized),
            "the input is another": (problem(422, "key-reused"), 1, Mismatch),
            "the agent is off": (problem(403, "agent-disabled"), 1, Denied),
            "the lease is lost": (problem(409, "lease-lost"), 1, LeaseLost),
            "the request is large": (problem(413, "body-too-large"), 1, TooLarge),
            "the problem is a new one": (problem(400, "something-else"), 1, Invalid),
            "there is a fault in the service": (text(500, "text/plain", "internal error"), 1, Unavailable),
            "somebody else answers": (HTML, 1, Invalid),
            "the answer has no lease": (text(200, "application/json", '{"status":"execute"}'), 1, Invalid),
            "the answer is a list": (text(200, "application/json", "[]"), 1, Invalid),
        }
        for name, (first, sent, kind) in cases.items():
            with self.subTest(name):
                fake = Fake(self, lambda n, path: first if n == 1 else EXECUTE)
                if kind is None:
                    self.assertEqual(fake.client.check("k").status, "execute")
                else:
                    with self.assertRaises(OnceError) as caught:
                        fake.client.check("k")
                    self.assertIs(type(caught.exception), kind)
                    self.assertNotIn(SECRET, str(caught.exception))
                self.assertEqual(len(fake.seen), sent)
                self.assertEqual(len({body["token"] for _, body in fake.seen}), 1)

    def test_a_client_without_a_token_sends_none(self) -> None:
        fake = Fake(self, lambda n, path: EXECUTE)
        for client in (Client(fake.url), Client(fake.url, ""), Client(fake.url, None), Client(fake.url, token=SECRET)):
            self.assertEqual(client.check("k").status, "execute")
        self.assertEqual(fake.authorization, [None, None, None, "Bearer " + SECRET])

    def test_attempts_are_bounded(self) -> None:
        fake = Fake(self, lambda n, path: HANG_UP)
        with self.assertRaises(Unavailable):
            fake.client.check("k")
        self.assertEqual(len(fake.seen), 3)

    def test_a_redirect_is_not_followed(self) -> None:
        other = Fake(self, lambda n, path: EXECUTE)
        fake = Fake(self, lambda n, path: text(307, "text/plain", "", Location=other.url + "v1/check"))
        with self.assertRaises(Invalid):
            fake.client.do("k", self.never, fail_open=True)
        self.assertEqual(other.seen, [])

    def test_fail_open_is_only_for_a_service_that_does_not_answer(self) -> None:
        cases = {
            "nobody answers": (HANG_UP, True),
            "a proxy has no service": (text(503, "text/html", "no"), True),
            "the service lets it go on": (text(200, "application/json", '{"status":"execute","guard":"bypassed"}'), True),
            "the service says no in spite of it": (problem(503, "store-unavailable", Retry_After="1"), False),
            "the token is wrong": (problem(401, "unauthorized"), False),
            "what answers is not the service": (HTML, False),
            "it is denied": (text(200, "application/json", '{"status":"denied"}'), False),
            "the status is one that we do not know": (text(200, "application/json", '{"status":"new"}'), False),
            "the result is not kept": (text(200, "application/json", '{"status":"duplicate"}'), False),
        }
        for name, (answer, runs) in cases.items():
            with self.subTest(name):
                fake = Fake(self, lambda n, path: answer)
                if runs:
                    out = fake.client.do("k", lambda run: 1, fail_open=True)
                    self.assertTrue(out.bypassed and out.ran and out.result == 1)
                else:
                    with self.assertRaises(OnceError):
                        fake.client.do("k", self.never, fail_open=True)
                self.assertEqual(set(fake.paths()), {"check"})
                self.assertTrue(all(body["fail_open"] for _, body in fake.seen))

    def test_a_start_that_nobody_heard_of_is_given_back(self) -> None:
        fake = Fake(self, lambda n, path: HANG_UP if n <= 3 else EXECUTE if path == "/v1/check" else OK)
        with self.assertRaises(Unavailable):
            fake.client.do("k", self.never)
        self.assertEqual(fake.paths(), ["check"] * 4 + ["release"])
        self.assertEqual(len({body["token"] for path, body in fake.seen if path == "check"}), 1)

    def test_a_lease_that_may_be_old_is_extended_before_the_work_begins(self) -> None:
        for extend, want, runs in ((OK, ["check", "extend", "complete"], True), (problem(409, "lease-lost"), ["check", "extend", "release"], False)):

            def answer(n: int, path: str) -> Answer:
                if path == "/v1/check":
                    time.sleep(1.1)  # over a third of the lease
                    return EXECUTE
                return extend if path == "/v1/extend" else OK

            with self.subTest(runs=runs):
                fake = Fake(self, answer)
                if runs:
                    self.assertTrue(fake.client.do("k", lambda run: None, lease=3).ran)
                else:
                    with self.assertRaises(LeaseLost):
                        fake.client.do("k", self.never, lease=3)
                self.assertEqual(fake.paths(), want)

    def test_a_request_that_hangs_does_not_hide_that_the_lease_is_lost(self) -> None:
        hung = threading.Event()
        self.addCleanup(hung.set)

        def answer(n: int, path: str) -> Answer:
            if path == "/v1/extend":
                hung.wait(60)
            return EXECUTE if path == "/v1/check" else OK

        fake = Fake(self, answer)
        with fake.client.once(key="k", lease=1) as run:
            self.assertTrue(run.lost.wait(60))
            self.assertFalse(hung.is_set())

    def test_what_is_no_service_is_refused(self) -> None:
        for url in ("", "localhost:8305", "ftp://host", "http://", "http://user:hunter2@host", "http://host?x=1", "http://host#x"):
            with self.subTest(url), self.assertRaises(ValueError) as caught:
                Client(url)
            self.assertNotIn("hunter2", str(caught.exception))
        for token in ("two words", "line\n", "ünïcode"):
            with self.subTest(token), self.assertRaises(ValueError) as caught:
                Client("http://host", token)
            self.assertNotIn(token, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
