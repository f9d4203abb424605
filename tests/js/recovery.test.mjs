// Connection state recovery with the official client: dropped connections, another instance, a killed one. See
// tests/contract/test_recovery.py. RECOVERY_TRANSPORT is one of TRANSPORTS; RECOVERY_PID the process of instance A, killed at the end.

import assert from "node:assert/strict";
import { before, it } from "node:test";

import { command, connect, dense, disconnected, open, received, settled, transportOf, until, upgraded } from "./client.mjs";
import { A, B, login, newKey, ok, person, posted } from "./market.mjs";

const transport = process.env.RECOVERY_TRANSPORT;
const asking = { reconnection: true, reconnectionDelay: 10, reconnectionDelayMax: 100 };
let owner, ann;
let amount = 100_000;

before(async () => {
  [owner, ann] = await Promise.all([person("client"), person("freelancer")]);
});

/** One more bid, at an instance that is there. */
const bid = (auction, at = B) =>
  ok("POST", `/auctions/${auction}/bids`, { at, token: ann.token, body: { amount: (amount -= 500), kind: "auto" }, key: newKey() });

/** A client that asks for recovery and says of each connection whether it was recovered. */
async function enter(who, namespace = "/bidding", { at = A, auth = {}, ...options } = {}) {
  const socket = open(at, namespace, { transport, ...asking, ...options });
  socket.auth = { token: who?.token, recover: true, ...auth };
  socket.connections = [];
  socket.on("connect", () => socket.connections.push([socket.recovered ?? false, socket.id]));
  await settled(socket);
  if (transport === "default") await upgraded(socket);
  return socket;
}

/** Loses the connection without a word; resolves once the client has noticed. */
async function lose(socket) {
  const noticed = disconnected(socket);
  const { transport: lost } = socket.io.engine;
  if (transportOf(socket) === "websocket") lost.ws.terminate?.() ?? lost.ws.close();
  else socket.io.engine.close();
  await noticed;
}

/** The same client, from now on at another instance. */
const move = (socket, url) => (socket.io.uri = url);

it("recovers a dropped connection, again and again", async () => {
  const [one, two] = [await posted(owner), await posted(owner)];
  const socket = await enter(ann);
  const id = socket.id;
  for (const { stream } of [one, two]) assert.equal((await command(socket, "subscribe", { stream, after: 0 })).seq, 1);
  for (let round = 0; round < 4; round++) {
    await bid(one.auction);
    if (round % 2) await until(socket, one.stream, (events) => events.length === round * 3 + 1);
    socket.io.reconnection(false);
    await lose(socket);
    await bid(one.auction);
    await bid(two.auction);
    socket.io.reconnection(true);
    const again = settled(socket);
    socket.connect();
    await again;
    await bid(one.auction);
    await until(socket, one.stream, (events) => events.length === (round + 1) * 3);
  }
  await bid(two.auction);
  assert.ok(dense(await until(socket, one.stream, (events) => events.length >= 12), 2));
  assert.ok(dense(await until(socket, two.stream, (events) => events.length >= 5), 2));
  assert.deepEqual(socket.connections, [[false, id], ...Array.from({ length: 4 }, () => [true, id])]);
  socket.close();
});

it("recovers by itself, as the official client reconnects", async () => {
  const { auction, stream } = await posted(owner);
  const socket = await enter(null, "/bidding", { auth: { token: undefined } });
  await command(socket, "subscribe", { stream });
  const again = settled(socket);
  await lose(socket);
  await bid(auction);
  await again;
  await bid(auction);
  assert.ok(dense(await until(socket, stream, (events) => events.length === 2), 2));
  assert.deepEqual(socket.connections.map(([recovered]) => recovered), [false, true]);
  socket.close();
});

it("recovers when it leaves and comes back on purpose, as an instance that ends asks for", async () => {
  const { auction, stream } = await posted(owner);
  const socket = await enter(ann);
  await command(socket, "subscribe", { stream });
  socket.disconnect();
  await bid(auction);
  move(socket, B);
  const again = settled(socket);
  socket.connect();
  await again;
  assert.ok(dense(await until(socket, stream, (events) => events.length === 1), 2));
  assert.deepEqual(socket.connections.map(([recovered]) => recovered), [false, true]);
  socket.close();
});

it("recovers on another instance, in every namespace", async () => {
  const { auction, stream } = await posted(owner);
  const room = (await ok("POST", "/rooms", { token: owner.token, body: { kind: "dm", user: ann.id }, key: newKey() })).id;
  const bidding = await enter(ann);
  const chat = await enter(ann, "/chat");
  const { seq } = await command(chat, "subscribe", { stream: `room:${room}` });
  await command(bidding, "subscribe", { stream });
  for (const url of [B, A, B]) {
    const again = Promise.all([settled(bidding), settled(chat)]);
    move(bidding, url);
    move(chat, url);
    await Promise.all([lose(bidding), lose(chat)]);
    await bid(auction, A);
    await ok("POST", `/rooms/${room}/messages`, { token: owner.token, body: { text: `Hello from ${url}` }, key: newKey() });
    await again;
  }
  assert.ok(dense(await until(bidding, stream, (events) => events.length === 3), 2));
  assert.ok(dense(await until(chat, `room:${room}`, (events) => events.length === 3), seq + 1));
  for (const socket of [bidding, chat]) {
    assert.deepEqual(socket.connections.map(([recovered]) => recovered), [false, true, true, true]);
    socket.close();
  }
});

it("begins anew when the login is another's, or nobody's", async () => {
  const { auction, stream } = await posted(owner);
  const bob = await person("freelancer");
  const socket = await enter(ann);
  await command(socket, "subscribe", { stream });
  for (const token of [bob.token, undefined, owner.token]) {
    const again = settled(socket);
    socket.auth = { ...socket.auth, token };
    await lose(socket);
    await again;
    await bid(auction);
    assert.ok((await command(socket, "sync_time", { t0: 1 })).ok);
  }
  assert.deepEqual(received(socket, stream), []);
  assert.deepEqual(socket.connections.map(([recovered]) => recovered), [false, false, false, false]);
  assert.equal(new Set(socket.connections.map(([, id]) => id)).size, 4);
  socket.close();
});

it("begins anew when it may not read a room any more", async () => {
  const { job, auction } = await posted(owner);
  await bid(auction);
  const room = (await ok("POST", "/rooms", { token: owner.token, body: { kind: "job", job: job.id }, key: newKey() })).id;
  const stream = `room:${room}`;
  await ok("POST", `/rooms/${room}/messages`, { token: ann.token, body: { text: "Hello" }, key: newKey() });
  const socket = await enter(ann, "/chat");
  assert.ok((await command(socket, "subscribe", { stream })).ok);
  socket.io.reconnection(false);
  await lose(socket);
  const { me } = await ok("GET", `/rooms/${room}`, { token: ann.token });
  await ok("DELETE", `/rooms/${room}/members/${encodeURIComponent(me)}`, { token: owner.token });
  await ok("POST", `/rooms/${room}/messages`, { token: owner.token, body: { text: "Gone?" }, key: newKey() });
  const again = settled(socket);
  socket.connect();
  await again;
  assert.equal((await command(socket, "subscribe", { stream })).error.code, "FORBIDDEN");
  assert.deepEqual(socket.connections.map(([recovered]) => recovered), [false, false]);
  assert.deepEqual(received(socket, stream), []);
  socket.close();
});

it("is refused after a logout, and recovers with a new login", async () => {
  const leaver = await login(ann);
  const socket = await enter(leaver, "/notifications");
  assert.ok((await command(socket, "subscribe", { stream: `user:${ann.id}` })).ok);
  socket.io.reconnection(false);
  const noticed = disconnected(socket);
  await ok("POST", "/auth/logout", { token: leaver.token });
  await noticed;
  const refusal = new Promise((resolve) => socket.once("connect_error", resolve));
  socket.connect();
  assert.equal((await refusal).message, "UNAUTHENTICATED");
  socket.auth = { ...socket.auth, token: ann.token };
  const again = settled(socket);
  socket.connect();
  await again;
  assert.equal(socket.recovered, true);
  socket.close();
});

it("isn't there for who does not ask", async () => {
  const { auction, stream } = await posted(owner);
  const socket = await connect(A, "/bidding", { transport, token: ann.token });
  let last;
  socket.onAny((...values) => (last = values));
  await command(socket, "subscribe", { stream });
  await bid(auction);
  await until(socket, stream, (events) => events.length === 1);
  assert.equal(last.length, 2);
  assert.equal(socket._pid, undefined);
  assert.ok(!socket.recovered);
  socket.close();
});

it("recovers when the instance is killed", async () => {
  const { auction, stream } = await posted(owner);
  const quiet = await posted(owner);
  const all = await Promise.all(Array.from({ length: 8 }, (_, n) => enter(n % 2 ? ann : null, "/bidding", n % 2 ? {} : { auth: { token: undefined } })));
  for (const socket of all) {
    await command(socket, "subscribe", { stream });
    await command(socket, "subscribe", { stream: quiet.stream });
  }
  await bid(auction, A);
  const again = all.map(settled);
  all.forEach((socket) => move(socket, B));
  process.kill(Number(process.env.RECOVERY_PID), "SIGKILL");
  for (let n = 0; n < 5; n++) await bid(auction);
  await Promise.all(again);
  await bid(auction);
  await bid(quiet.auction);
  for (const socket of all) {
    assert.ok(dense(await until(socket, stream, (events) => events.length >= 7), 2), JSON.stringify(received(socket, stream)));
    await until(socket, quiet.stream, (events) => events.length === 1);
    assert.equal(received(socket, stream).length, 7);
    assert.deepEqual(socket.connections.map(([recovered]) => recovered), [false, true]);
    assert.equal(socket.connections[0][1], socket.connections[1][1]);
    socket.close();
  }
});
