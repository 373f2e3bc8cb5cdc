"""Sends with python-requests what each line says: method, URL, body and headers
with a tab between. It answers a line for each. Arguments: FROM=TO, where a port is."""

import sys
import warnings

import requests
import urllib3.util.connection as connection

warnings.simplefilter("ignore")  # the certificate is a test server's
ports = dict(map(int, arg.split("=")) for arg in sys.argv[1:])
connect = connection.create_connection
connection.create_connection = lambda to, *rest, **more: connect(("127.0.0.1", ports.get(to[1], to[1])), *rest, **more)

print("python-requests", requests.__version__, flush=True)
for line in sys.stdin:
    method, url, body, *headers = line.rstrip("\n").split("\t")
    try:
        requests.request(method, url, data=body or None, headers=dict(h.split(": ", 1) for h in headers), timeout=120, verify=False)
        print("ok", flush=True)
    except requests.RequestException as e:
        print(repr(e).replace("\n", " "), flush=True)
