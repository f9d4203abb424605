// The official client against the conformance harness; see tests/conformance/test_official_client.py.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { command, connect, disconnected, open, settled, TRANSPORTS, upgraded } from "./client.mjs";

const { HARNESS_URL } = process.env;
const sockets = [];

after(() => sockets.forEach((socket) => socket.close()));

/** A connected socket and the arguments of the events that it was sent, by name. */
async function enter(namespace, options) {
  const socket = open(HARNESS_URL, namespace, options);
  sockets.push(socket);
  const events = [];
  const waiting = new Set();
  socket.onAny((...event) => {
    events.push(event);
    for (const look of [...waiting]) look();
  });
  const received = (count) =>
    new Promise((resolve) => {
      const look = () => events.length >= count && (waiting.delete(look), resolve(events.splice(0, count)));
      waiting.add(look);
      look();
    });
  await settled(socket);
  return { socket, received };
}

const BLOBS = [Buffer.alloc(0), Buffer.from([0]), Buffer.from([1, 2, 3]), Buffer.alloc(70_000, 0xff)];

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    for (const namespace of ["/", "/custom"]) {
      it(`is greeted in ${namespace} with what it sent to connect`, async () => {
        const { received } = await enter(namespace, { transport });
        assert.deepEqual(await received(1), [["auth", {}]]);
        const other = await enter(namespace, { transport, token: "abc" });
        assert.deepEqual(await other.received(1), [["auth", { token: "abc" }]]);
      });
    }

    it("is refused in a namespace that is unknown", async () => {
      await assert.rejects(connect(HARNESS_URL, "/random", { transport }), { message: "Invalid namespace" });
    });

    it("gets back what it sent, binary or not, in order, while it upgrades", async () => {
      const { socket, received } = await enter("/", { transport });
      await received(1);
      const sent = [];
      for (let number = 0; number < 60; number++) {
        const blob = BLOBS[number % BLOBS.length];
        const values = number % 2 ? [number, { deep: [blob, "é"], same: blob }] : [number, "text", null];
        sent.push(values);
        socket.emit("message", ...values);
        if (number % 10 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
      if (transport === "default") await upgraded(socket);
      assert.deepEqual(await received(sent.length), sent.map((values) => ["message-back", ...values]));
    });

    it("has its arguments acknowledged, binary or not", async () => {
      const { socket } = await enter("/", { transport });
      const values = BLOBS.flatMap((blob, number) => [number, `text ${number}`, { blob }]);
      const answers = await Promise.all(values.map((value) => command(socket, "message-with-ack", value)));
      assert.deepEqual(answers, values);
    });

    it("leaves one namespace and goes on in the other", async () => {
      const { socket, received } = await enter("/", { transport });
      await received(1);
      const custom = socket.io.socket("/custom", { auth: { token: "abc" } });
      await new Promise((resolve) => custom.once("auth", resolve));
      custom.disconnect();
      socket.emit("message", "still here");
      assert.deepEqual(await received(1), [["message-back", "still here"]]);
      const gone = disconnected(socket);
      socket.disconnect();
      assert.equal(await gone, "io client disconnect");
    });
  });
}
