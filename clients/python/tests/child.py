"""Begins to do something, and never ends: a test kills it."""

import os
import threading

from seeother_once import Client

client = Client(os.environ["SEEOTHER_TEST_URL"], os.environ["SEEOTHER_TEST_TOKEN"])
with client.once(key="killed", lease=2):
    print("running", flush=True)
    threading.Event().wait()
