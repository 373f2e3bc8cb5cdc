'use strict';
// A small Express app as people write them: it answers 302 after a POST and a
// DELETE, and inserts a row for each order that it gets.

const crypto = require('node:crypto');
const http = require('node:http');
const express = require('express');
const { WebSocketServer } = require('ws');
const { Database } = require('node-sqlite3-wasm');

const db = new Database(process.env.APP_DB);
db.exec('CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT)');
db.exec('CREATE TABLE IF NOT EXISTS seen (id INTEGER PRIMARY KEY, request TEXT)');

const app = express();
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

app.use((req, res, next) => {
  if (req.path.startsWith('/users') || ['/form', '/done', '/orders'].includes(req.path)) {
    db.run('INSERT INTO seen (request) VALUES (?)', [`${req.method} ${req.path}`]);
  }
  next();
});

app.get('/', (req, res) => res.send("<!doctype html><title>app</title><link rel=icon href='data:,'><p>express"));
app.get('/seen', (req, res) => res.json(db.all('SELECT request FROM seen ORDER BY id').map((row) => row.request)));
app.delete('/seen', (req, res) => { db.run('DELETE FROM seen'); res.status(204).end(); });

app.post('/form', (req, res) => res.redirect('/done'));
app.get('/done', (req, res) => res.send('done\n'));

app.get('/users', (req, res) => res.json(['121', '122']));
app.delete('/users', (req, res) => res.send('all users are deleted\n'));
app.get('/users/:id', (req, res) => res.json(req.params.id));
app.delete('/users/:id', (req, res) => res.redirect('/users'));

app.post('/orders', express.json(), async (req, res) => {
  await sleep(req.body.delay);
  const { lastInsertRowid: id } = db.run('INSERT INTO orders (item) VALUES (?)', [req.body.item]);
  res.status(201).location(`/orders/${id}`).json({ id: Number(id), item: req.body.item });
});
app.get('/orders/count', (req, res) => {
  res.json(Number(db.get('SELECT COUNT(*) AS n FROM orders WHERE item = ?', [req.query.item]).n));
});

app.all('/upload', async (req, res) => {
  const digest = crypto.createHash('sha256');
  let bytes = 0;
  for await (const chunk of req) {
    digest.update(chunk);
    bytes += chunk.length;
  }
  res.json({ bytes, sha256: digest.digest('hex') });
});

app.get('/events', async (req, res) => {
  res.type('text/event-stream');
  for (let number = 1; number < 100 && !res.destroyed; number++) {
    res.write(`data: ${number}\n\n`);
    await sleep(300);
  }
  res.end();
});

app.all('/slow', async (req, res) => {
  await sleep(Number(req.query.ms));
  res.send('slow\n');
});

const server = http.createServer(app);
new WebSocketServer({ server, path: '/ws' }).on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log(`listening on ${process.env.PORT}`));
