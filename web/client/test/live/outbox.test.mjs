// Messages that wait for a connection: in order, each once, over cuts and runs.

import assert from "node:assert/strict";
import { it } from "node:test";

import { A, eventually, history } from "../../../../tests/js/market.mjs";
import { clientOf, range, room } from "./people.mjs";
import { Road } from "./road.mjs";

const texts = async ({ roomStream, owner }) =>
  (await history(roomStream, { token: owner.token }))
    .filter((event) => event.type === "message")
    .map((event) => event.text);

function storage() {
  const items = new Map();
  return {
    items,
    getItem: async (name) => items.get(name) ?? null,
    setItem: async (name, value) => void items.set(name, value),
  };
}

for (const transport of ["websocket", "polling", "sse"])
  it(`keeps order and sends once, over ${transport}`, async () => {
    const made = await room();
    const road = await Road.to(A);
    road.close();
    const client = clientOf(made.ann, { url: road.url, transports: [transport] });
    const words = range(1, 12).map((n) => `message ${n}`);
    const sent = words.slice(0, 6).map((text) => client.outbox.push({ room: made.room, text }));
    assert.equal(client.outbox.pending.length, 6);
    road.lost = transport === "sse" ? /HTTP\/1.1 201/ : /43\/chat,\d+\[\{"ok":true,"seq"/;
    road.open();
    await sent[2];
    road.cut();
    sent.push(...words.slice(6).map((text) => client.outbox.push({ room: made.room, text })));
    const acks = await Promise.all(sent);
    assert.deepEqual(await texts(made), words);
    assert.deepEqual(
      acks.map((ack) => ack.seq),
      acks.map((ack) => ack.seq).toSorted((one, other) => one - other),
    );
    assert.equal(road.losses, 1);
    assert.deepEqual(client.outbox.pending, []);
  });

it("goes on in the next run, with the same keys", async () => {
  const made = await room();
  const road = await Road.to(A);
  const store = storage();
  // The first message arrives, but nobody learns of it; the second never leaves.
  road.lost = /43\/chat,\d+\[\{"ok":true,"seq"/;
  const first = clientOf(made.ann, { url: road.url, transports: ["websocket"], storage: store });
  const lost = ["one", "two"].map((text) => first.outbox.push({ room: made.room, text }));
  const ends = lost.map((sending) => assert.rejects(sending, { code: "CLOSED" }));
  await eventually(() => road.losses === 1);
  road.close();
  first.close();
  await Promise.all(ends);
  assert.equal(JSON.parse([...store.items.values()][0]).length, 2);
  const done = [];
  const next = clientOf(made.ann, {
    storage: store,
    onSent: (message, sent) => done.push([message.text, sent.replayed === true]),
  });
  await next.outbox.push({ room: made.room, text: "three" });
  assert.deepEqual(done, [
    ["one", true],
    ["two", false],
    ["three", false],
  ]);
  assert.deepEqual(await texts(made), ["one", "two", "three"]);
});

it("goes on after what is refused", async () => {
  const made = await room();
  const refused = [];
  const client = clientOf(made.ann, { onRefused: (message, error) => refused.push([message.text, error.code]) });
  const bad = client.outbox.push({ room: made.room, text: "" });
  const good = client.outbox.push({ room: made.room, text: "fine" });
  await assert.rejects(bad, { code: "VALIDATION_FAILED" });
  await good;
  assert.deepEqual(refused, [["", "VALIDATION_FAILED"]]);
  assert.deepEqual(await texts(made), ["fine"]);
});
