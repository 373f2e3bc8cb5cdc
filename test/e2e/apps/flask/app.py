"""A small Flask app as people write them: it answers 302 after a POST and a
DELETE, and inserts a row for each order that it gets."""

import hashlib
import os
import sqlite3
import time
from contextlib import closing

from flask import Flask, Response, jsonify, redirect, request

app = Flask(__name__)
DATABASE = os.environ["APP_DB"]


def database():
    connection = sqlite3.connect(DATABASE, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL")
    return connection


with closing(database()) as db, db:
    db.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT)")
    db.execute("CREATE TABLE IF NOT EXISTS seen (id INTEGER PRIMARY KEY, request TEXT)")


@app.before_request
def write_down():
    if request.path.startswith("/users") or request.path in ("/form", "/done", "/orders"):
        with closing(database()) as db, db:
            db.execute("INSERT INTO seen (request) VALUES (?)", (f"{request.method} {request.path}",))


@app.get("/")
def home():
    return "<!doctype html><title>app</title><link rel=icon href='data:,'><p>flask", {"Content-Type": "text/html"}


@app.get("/seen")
def seen():
    with closing(database()) as db:
        return jsonify([row[0] for row in db.execute("SELECT request FROM seen ORDER BY id")])


@app.delete("/seen")
def forget():
    with closing(database()) as db, db:
        db.execute("DELETE FROM seen")
    return "", 204


@app.post("/form")
def form():
    return redirect("/done", code=302)


@app.get("/done")
def done():
    return "done\n"


@app.get("/users")
def users():
    return jsonify(["121", "122"])


@app.delete("/users")
def delete_users():
    return "all users are deleted\n"


@app.get("/users/<user>")
def show_user(user):
    return jsonify(user)


@app.delete("/users/<user>")
def delete_user(user):
    return redirect("/users", code=302)


@app.post("/orders")
def order():
    item, delay = request.get_json()["item"], request.get_json()["delay"]
    time.sleep(delay / 1000)
    with closing(database()) as db, db:
        number = db.execute("INSERT INTO orders (item) VALUES (?)", (item,)).lastrowid
    return jsonify(id=number, item=item), 201, {"Location": f"/orders/{number}", "ETag": f'"{number}"'}


@app.get("/orders/count")
def count():
    with closing(database()) as db:
        row = db.execute("SELECT COUNT(*) FROM orders WHERE item = ?", (request.args["item"],)).fetchone()
    return jsonify(row[0])


@app.route("/upload", methods=["POST", "PUT"])
def upload():
    digest, size = hashlib.sha256(), 0
    while chunk := request.stream.read(1 << 18):
        digest.update(chunk)
        size += len(chunk)
    return jsonify(bytes=size, sha256=digest.hexdigest())


@app.get("/events")
def events():
    def stream():
        for number in range(1, 100):
            yield f"data: {number}\n\n"
            time.sleep(0.3)

    return Response(stream(), mimetype="text/event-stream")


@app.route("/slow", methods=["GET", "POST"])
def slow():
    time.sleep(int(request.args["ms"]) / 1000)
    return "slow\n"
