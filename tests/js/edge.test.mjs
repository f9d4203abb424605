// The official client against a market that is nothing but the socket edge; see tests/contract/test_edge.py.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { command, connect, dense, disconnected, open, settled, TRANSPORTS, transportOf, until, upgraded } from "./client.mjs";

const { MARKET_URL, MARKET_TOKENS } = process.env;
const tokens = JSON.parse(MARKET_TOKENS);
const sockets = [];

async function enter(namespace, options) {
  const socket = await connect(MARKET_URL, namespace, options);
  sockets.push(socket);
  return socket;
}

after(() => sockets.forEach((socket) => socket.close()));

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    const stream = `tally:${transport}`;

    it("refuses a bad token by name", async () => {
      await assert.rejects(connect(MARKET_URL, "/market", { transport, token: "bad" }), { message: "UNAUTHENTICATED" });
      await assert.rejects(connect(MARKET_URL, "/members", { transport }), { message: "UNAUTHENTICATED" });
      await assert.rejects(connect(MARKET_URL, "/nowhere", { transport }), { message: "Invalid namespace" });
    });

    it("acknowledges commands in order", async () => {
      const socket = await enter("/market", { transport, token: tokens.ann });
      const answers = await Promise.all([1, 2, 3, 4].map((n) => command(socket, "add", { stream, n })));
      assert.deepEqual(answers.map((answer) => answer.total), [1, 3, 6, 10]);
      assert.ok(answers.every((answer) => answer.ok));
    });

    it("answers mistakes with a code", async () => {
      const socket = await enter("/market", { transport });
      const code = async (...sent) => (await command(socket, ...sent)).error.code;
      assert.equal(await code("bet", {}), "UNKNOWN_COMMAND");
      assert.equal(await code("add", { stream, n: "1" }), "VALIDATION_FAILED");
      assert.equal(await code("add", { stream, n: Buffer.from("1") }), "VALIDATION_FAILED");
      assert.equal(await code("add"), "VALIDATION_FAILED");
      assert.equal(await code("subscribe", { stream: "tally:none" }), "NOT_FOUND");
      assert.equal(await code("note", {}), "UNAUTHENTICATED");
    });

    it("delivers a stream, each event once, in order, before and after the upgrade", async () => {
      const writer = await enter("/market", { transport: "websocket" });
      const { seq: start } = await command(writer, "add", { stream, n: 1 });
      const reader = await enter("/market", { transport });
      const answer = await command(reader, "subscribe", { stream });
      assert.ok(answer.ok && answer.seq >= start && answer.state.total > 0);
      const adding = (async () => {
        for (let n = 0; n < 50; n++) await command(writer, "add", { stream, n: 1 });
      })();
      if (transport === "default") await upgraded(reader);
      await adding;
      const events = await until(reader, stream, (all) => all.length >= 50);
      assert.ok(dense(events, answer.seq + 1));
      assert.equal(transportOf(reader), transport === "polling" ? "polling" : "websocket");
    });

    it("resumes after the last seq", async () => {
      const writer = await enter("/market", { transport });
      await command(writer, "add", { stream, n: 1 });
      const reader = await enter("/market", { transport });
      const answer = await command(reader, "subscribe", { stream, after: 1 });
      assert.equal(answer.events[0].seq, 2);
      assert.ok(dense(answer.events, 2));
      await command(writer, "add", { stream, n: 1 });
      const [next] = await until(reader, stream, (all) => all.length >= 1);
      assert.equal(next.seq, answer.seq + 1);
    });

    it("closes the transport when the login ends", async () => {
      const socket = await enter("/market", { transport, token: tokens[`leaver-${transport}`] });
      const gone = disconnected(socket);
      const engine = socket.io.engine;
      const closed = new Promise((resolve) => engine.once("close", resolve));
      await fetch(`${MARKET_URL}/logout/leaver-${transport}`, { method: "POST" });
      await gone;
      await closed;
      socket.io.reconnection(false);
      await assert.rejects(settled(open(MARKET_URL, "/market", { transport, token: tokens[`leaver-${transport}`] })), {
        message: "UNAUTHENTICATED",
      });
    });

    it("comes back by itself, with a new session, when its own is unknown", async () => {
      const socket = await enter("/market", { transport, reconnection: true, reconnectionDelay: 10 });
      if (transport === "default") await upgraded(socket);
      const before = socket.io.engine.id;
      assert.match(before, /^local\./);
      const gone = disconnected(socket);
      const back = settled(socket);
      await fetch(`${MARKET_URL}/forget/${encodeURIComponent(before)}`, { method: "POST" });
      assert.ok(["transport error", "transport close"].includes(await gone));
      await back;
      assert.notEqual(socket.io.engine.id, before);
      assert.ok((await command(socket, "sync_time", { t0: 1 })).ok);
    });

    it("shares one transport between namespaces", async () => {
      const market = await enter("/market", { transport, token: tokens.ann });
      const members = market.io.socket("/members", { auth: { token: tokens.ann } });
      members.connect(); // once more than needed: the manager did it
      await settled(members);
      const answer = await command(members, "sync_time", { t0: Date.now() });
      assert.ok(answer.ok && answer.t1 <= answer.t2);
      members.disconnect();
      assert.ok((await command(market, "sync_time", { t0: 1 })).ok);
    });
  });
}
