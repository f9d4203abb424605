// What the page of the Socket.IO Admin UI does, with the official client. See tests/server/realtime/test_admin.py.

import assert from "node:assert/strict";
import { it } from "node:test";

import { command, connect, disconnected, open, settled, upgraded } from "./client.mjs";

const url = process.env.MARKET_URL;
const tokens = JSON.parse(process.env.MARKET_TOKENS);
const account = { username: process.env.ADMIN_USERNAME, password: process.env.ADMIN_PASSWORD };
const SHOWN = [
  "session", "config", "server_stats", "all_sockets", "socket_connected", "socket_updated", "socket_disconnected", "room_joined",
  "room_left", "event_received", "event_sent",
];

/** The page: polling first unless `wsOnly`, listeners added when it is connected, and told things kept by their names. */
function page(auth, { wsOnly = false } = {}) {
  const socket = open(url, "/admin", { transports: wsOnly ? ["websocket"] : ["polling", "websocket"], path: "/socket.io", auth });
  socket.told = [];
  socket.waiting = new Set();
  socket.once("connect", () => {
    for (const name of SHOWN)
      socket.on(name, (...values) => {
        socket.told.push([name, ...values]);
        for (const look of [...socket.waiting]) look();
      });
  });
  socket.auth = auth;
  return settled(socket);
}

/** Resolves with the arguments of the first event of that name for which `holds(...)`. */
function told(socket, name, holds = () => true) {
  return new Promise((resolve, reject) => {
    const look = () => {
      const found = socket.told.find(([event, ...values]) => event === name && holds(...values));
      if (!found) return;
      clearTimeout(timer);
      socket.waiting.delete(look);
      resolve(found.slice(1));
    };
    const timer = setTimeout(() => reject(new Error(`${name}: only ${JSON.stringify(socket.told)}`)), 15_000);
    socket.waiting.add(look);
    look();
  });
}

it("asks for the password when it has none, or a wrong one", async () => {
  const wrong = [
    {}, { sessionId: null }, { sessionId: "" }, { sessionId: "nothing" }, { ...account, password: "guess" }, { ...account, username: "root" },
    { username: account.username }, { password: account.password }, { ...account, password: null }, { ...account, password: ["x"] },
  ];
  for (const auth of wrong) await assert.rejects(page(auth), { message: "invalid credentials" }, JSON.stringify(auth));
  await assert.rejects(page({ token: tokens.ann }), { message: "FORBIDDEN" });
  await assert.rejects(page({ token: "bad" }), { message: "UNAUTHENTICATED" });
  await assert.rejects(page({ token: tokens.revoked }), { message: "UNAUTHENTICATED" });
});

it("comes back with its session", async () => {
  const first = await page(account);
  const [sessionId] = await told(first, "session");
  assert.equal(typeof sessionId, "string");
  first.close();
  const again = await page({ sessionId }, { wsOnly: true });
  await told(again, "server_stats");
  assert.ok(!again.told.some(([name]) => name === "session"));
  again.close();
  for (const bent of [`${sessionId}0`, `f${sessionId}`, sessionId.replace(/.$/, (last) => (last === "0" ? "1" : "0")), sessionId.split(".")[0]])
    await assert.rejects(page({ sessionId: bent }), { message: "invalid credentials" });
});

it("shows numbers", async () => {
  const socket = await page(account);
  const [config] = await told(socket, "config");
  const features = ["AGGREGATED_EVENTS", "ALL_EVENTS", "DISCONNECT", "EMIT", "MDISCONNECT"];
  assert.deepEqual(config.supportedFeatures.toSorted(), features);
  const other = await connect(url, "/market", { transport: "polling", token: tokens.ann });
  assert.ok((await command(other, "sync_time", { t0: 1 })).ok);
  const [stats] = await told(socket, "server_stats", (stats) => stats.clientsCount === 2 && stats.aggregatedEvents.length >= 5);
  assert.equal(stats.serverId, "web-7");
  assert.ok(stats.pollingClientsCount >= 1 && stats.pid > 0 && stats.uptime > 0 && typeof stats.hostname === "string");
  assert.deepEqual(stats.namespaces, [
    { name: "/market", socketsCount: 1 },
    { name: "/members", socketsCount: 0 },
    { name: "/admin", socketsCount: 1 },
  ]);
  const kinds = new Set(stats.aggregatedEvents.map((event) => event.type));
  for (const kind of ["rawConnection", "packetsIn", "packetsOut", "bytesIn", "bytesOut"]) assert.ok(kinds.has(kind), kind);
  assert.ok(stats.aggregatedEvents.every(({ timestamp, count }) => timestamp % 1000 === 0 && count > 0));
  other.close();
  await told(socket, "server_stats", (stats) => stats.aggregatedEvents.some(({ type, subType }) => type === "rawDisconnection" && subType));
  socket.close();
});

it("shows clients, what they watch and what is said", async () => {
  const before = await connect(url, "/market", { token: tokens.ann });
  const socket = await page({ token: tokens.admin });
  const [all] = await told(socket, "all_sockets");
  const shown = all.find((one) => one.id === before.id);
  assert.deepEqual([shown.nsp, shown.transport, shown.rooms], ["/market", "websocket", [before.id]]);
  assert.deepEqual(shown.data, { user: "ann", role: "both", admin: false });
  assert.deepEqual([shown.handshake.address, shown.handshake.headers, shown.handshake.query], ["127.0.0.1", {}, {}]);
  assert.match(shown.handshake.time, /^\d{4}-.*Z$/);
  assert.equal(shown.handshake.issued, Date.parse(shown.handshake.time));
  assert.ok(shown.clientId && !before.io.engine.id.includes(shown.clientId));
  assert.ok(!socket.told.some(([name]) => name === "session"));

  const late = await connect(url, "/market", { transport: "default", token: tokens.ann });
  const [connected, since] = await told(socket, "socket_connected", ({ id }) => id === late.id);
  assert.ok(connected.nsp === "/market" && !Number.isNaN(Date.parse(since)));
  await upgraded(late);
  await told(socket, "socket_updated", ({ id, nsp, transport }) => id === late.id && nsp === "/market" && transport === "websocket");

  const stream = "tally:shown";
  await command(late, "add", { stream, n: 1 });
  const answer = await command(late, "subscribe", { stream });
  assert.ok(answer.ok);
  await told(socket, "room_joined", (nsp, room, id) => nsp === "/market" && room === stream && id === late.id);
  await told(socket, "event_received", (nsp, id, args) => id === late.id && args[0] === "subscribe" && args[1].stream === stream);
  await command(late, "add", { stream, n: 1 });
  const [, , sent, at] = await told(socket, "event_sent", (nsp, id, args) => id === late.id && args[0] === "events");
  assert.equal(sent[1].seq, 2);
  assert.ok(!Number.isNaN(Date.parse(at)));
  await command(late, "unsubscribe", { stream });
  await told(socket, "room_left", (nsp, room, id) => room === stream && id === late.id);
  await command(late, "reauthenticate", { token: tokens.ann });
  const [, , secret] = await told(socket, "event_received", (nsp, id, args) => args[0] === "reauthenticate");
  assert.deepEqual(secret[1], { token: "***" });
  const id = late.id;
  late.close();
  await told(socket, "socket_disconnected", (nsp, gone, reason) => gone === id && reason);
  const everything = JSON.stringify(socket.told);
  for (const token of Object.values(tokens)) assert.ok(!everything.includes(token));
  for (const text of [account.password, before.io.engine.id, "Bearer", "@"]) assert.ok(!everything.includes(text), text);
  socket.close();
  before.close();
});

it("disconnects and emits, by id, by stream and all at once", async () => {
  const socket = await page(account);
  const enter = () => connect(url, "/market", { token: tokens.ann });
  const stream = "tally:shown";
  const [one, watching, third] = [await enter(), await enter(), await enter()];
  await command(watching, "subscribe", { stream });
  const heard = new Map([one, watching, third].map((client) => [client, []]));
  for (const [client, events] of heard) client.on("notice", (...values) => events.push(values));

  socket.emit("emit", "/market", one.id, "notice", "to one", 1);
  socket.emit("emit", "/market", stream, "notice", { to: "watchers" });
  socket.emit("emit", "/market", undefined, "notice", Buffer.from("all"));
  for (const refused of ["events", "offset", "reconnect", "connect", "disconnect"]) socket.emit("emit", "/market", null, refused, { stream, events: [], seq: 9 });
  for (const nonsense of [[], ["/market"], [1, 2, 3], ["/market", {}, "notice"], ["/market", null, 7], ["/nowhere", null, "notice"]]) socket.emit("emit", ...nonsense);
  socket.emit("join", "/market", "own:ann", one.id);
  socket.emit("leave", "/market", stream, watching.id);
  await Promise.all([...heard.keys()].map((client) => command(client, "sync_time", { t0: 1 })));
  while ([...heard.values()].some((events) => !events.some(([value]) => Buffer.isBuffer(value)))) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual([...heard.values()].map((events) => events.length), [2, 2, 1]);
  assert.deepEqual(heard.get(one)[0], ["to one", 1]);
  assert.deepEqual(heard.get(watching)[0], [{ to: "watchers" }]);
  assert.equal(heard.get(third)[0][0].toString(), "all");

  const left = disconnected(one);
  socket.emit("_disconnect", "/market", false, one.id);
  assert.equal(await left, "io server disconnect");
  const closed = disconnected(watching);
  socket.emit("_disconnect", "/market", true, stream);
  assert.match(await closed, /^transport close$/);
  assert.ok((await command(third, "sync_time", { t0: 1 })).ok);
  const last = disconnected(third);
  socket.emit("_disconnect", "/market", true);
  await last;
  assert.ok(socket.connected);
  socket.close();
});
