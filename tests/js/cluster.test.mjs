// Stock clients behind the proxy: where their sessions live, and what happens when nobody is there any more. See
// tests/cluster/test_cluster.py. CLUSTER_TRANSPORT is one of TRANSPORTS; CLUSTER_PIDS the instances' processes, `{name: pid}`.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import { command, connect, dense, settled, transportOf, upgraded } from "./client.mjs";
import { A, eventually, newKey, ok, person, posted } from "./market.mjs";

const transport = process.env.CLUSTER_TRANSPORT;
const pids = JSON.parse(process.env.CLUSTER_PIDS);
const names = Object.keys(pids);
const sockets = [];
let owner, ann;

before(async () => {
  [owner, ann] = await Promise.all([person("client"), person("freelancer")]);
});

after(() => sockets.forEach((socket) => socket.close()));

async function enter(options = {}) {
  const socket = await connect(A, "/bidding", { transport, reconnectionDelay: 10, reconnectionDelayMax: 200, ...options });
  sockets.push(socket);
  if (transport === "default") await upgraded(socket);
  return socket;
}

/** The instance that a socket's session lives at. */
const home = (socket) => socket.io.engine.id.split(".")[0];

/** Enough sockets that each instance has some. */
async function spread(options) {
  const all = [];
  while (all.length < 12 || names.some((name) => !all.some((socket) => home(socket) === name)))
    all.push(...(await Promise.all(Array.from({ length: 6 }, () => enter(options)))));
  return all;
}

let amount = 100_000;
const bid = (auction) =>
  ok("POST", `/auctions/${auction}/bids`, { token: ann.token, body: { amount: (amount -= 500), kind: "auto" }, key: newKey() });

it("stays at its instance, request by request", async () => {
  const all = await spread();
  const ids = all.map((socket) => socket.io.engine.id);
  for (let n = 0; n < 25; n++)
    for (const answer of await Promise.all(all.map((socket) => command(socket, "sync_time", { t0: n })))) assert.equal(answer.t0, n);
  assert.deepEqual(all.map((socket) => socket.io.engine.id), ids);
  assert.ok(all.every((socket) => transportOf(socket) === (transport === "polling" ? "polling" : "websocket")));
  for (const socket of all) socket.close();
});

it("begins a new session when nobody knows its own", { skip: transport !== "polling" }, async () => {
  for (const stranger of [`${names[0]}.nobody-knows-this`, "rialto-99.nor-that", "no-instance-at-all"]) {
    const socket = await enter({ reconnection: true });
    const again = settled(socket);
    const { id: own, transport: polling } = socket.io.engine;
    polling.query.sid = stranger;
    command(socket, "sync_time", { t0: 1 }).catch(() => {});
    await again;
    assert.ok(names.includes(home(socket)), socket.io.engine.id);
    await fetch(`${A}/socket.io/?EIO=4&transport=polling&sid=${own}`, { method: "POST", body: "1" }); // or it is polled on
    assert.ok((await command(socket, "sync_time", { t0: 1 })).ok);
    socket.close();
  }
});

it("moves when its instance is killed, and misses nothing", async () => {
  const { auction, stream } = await posted(owner);
  const all = await spread({ reconnection: true });
  const seen = new Map(all.map((socket) => [socket, []]));
  const follow = async (socket) => {
    const answer = await command(socket, "subscribe", { stream, after: seen.get(socket).length });
    seen.get(socket).push(...answer.events);
  };
  for (const socket of all) {
    socket.on("events", (batch) => seen.get(socket).push(...batch.events));
    await follow(socket);
    socket.on("connect", () => follow(socket).catch(() => {}));
  }
  await bid(auction);
  const victim = names.at(-1);
  const staying = new Map(all.filter((socket) => home(socket) !== victim).map((socket) => [socket, socket.io.engine.id]));
  const moving = all.filter((socket) => !staying.has(socket));
  const moved = moving.map(settled);
  process.kill(pids[victim], "SIGKILL");
  for (let n = 0; n < 5; n++) await bid(auction);
  await Promise.all(moved);
  await bid(auction);
  for (const socket of all) {
    await eventually(() => seen.get(socket).length >= 8);
    const events = seen.get(socket).toSorted((one, other) => one.seq - other.seq);
    assert.ok(events.length === 8 && dense(events, 1), JSON.stringify(events.map((event) => event.seq)));
    if (staying.has(socket)) assert.equal(socket.io.engine.id, staying.get(socket));
    else assert.notEqual(home(socket), victim);
    socket.close();
  }
});
