// Following streams, by the transport in CLIENT_TRANSPORT.

import assert from "node:assert/strict";
import { before, it } from "node:test";

import { A, B, eventually, history } from "../../../../tests/js/market.mjs";
import { RialtoError } from "../../dist/index.js";
import { clientOf, market, range, read, room, seqs } from "./people.mjs";
import { Road } from "./road.mjs";

const transports = [process.env.CLIENT_TRANSPORT];
const sockets = ["websocket", "polling"].includes(transports[0]);
let made;

before(async () => {
  made = await market();
  for (let n = 0; n < 4; n++) await made.bid();
});

it("goes from the past into the present", async () => {
  const { stream, bid } = await market();
  await bid();
  const subscription = clientOf(undefined, { transports }).subscribe(stream, { after: 0 });
  assert.deepEqual(seqs(await read(subscription, 2)), [1, 2]);
  await bid(B);
  await bid(A);
  const events = await read(subscription, 2);
  assert.deepEqual(events, (await history(stream)).slice(2));
  subscription.unsubscribe();
  assert.deepEqual(await subscription.next(), { done: true, value: undefined });
  await subscription.closed;
});

it("uses the transport that it was told", async () => {
  const client = clientOf(undefined, { transports });
  await read(client.subscribe(made.stream, { after: 0 }), 1);
  assert.equal(client.way, sockets ? "socket" : transports[0]);
  assert.equal(client.transport, sockets ? transports[0] : undefined);
});

it("begins with a snapshot, and folds what follows into it", async () => {
  const { stream, bid } = await market();
  await bid();
  const snapshots = [];
  const subscription = clientOf(undefined, { transports }).subscribe(stream, {
    onSnapshot: (state, seq) => snapshots.push([seq, state.price]),
    reduce: (state, event) => ({
      ...state,
      price: event.price ?? state.price,
      folded: [...(state.folded ?? []), event.seq],
    }),
    onEvent: () => {},
  });
  await eventually(() => snapshots.length === 1);
  await bid();
  await bid();
  await eventually(() => subscription.seq === 4);
  assert.deepEqual(snapshots[0][0], 2);
  assert.deepEqual(subscription.state.folded, [3, 4]);
  assert.equal(subscription.state.price, (await history(stream)).at(-1).price);
});

it("resumes after every cut, and misses and repeats nothing", async () => {
  const { stream, bid } = await market();
  const road = await Road.to(A, B);
  const troubles = [];
  const events = [];
  clientOf(undefined, { transports, url: road.url }).subscribe(stream, {
    after: 0,
    onEvent: (event) => events.push(event),
    onTrouble: (error) => troubles.push(error),
  });
  await eventually(() => events.length === 1);
  for (let n = 0; n < 3; n++) {
    road.cut();
    await bid();
    await bid();
    await eventually(() => events.length === 3 + 2 * n);
  }
  assert.deepEqual(events, await history(stream));
  // A long poll may find its connection gone before it asks, which is no trouble at all.
  assert.ok(troubles.length > 0 || transports[0] === "longpoll");
  assert.ok(troubles.every((error) => error instanceof RialtoError && error.retryable));
  road.close();
  await bid();
  road.open();
  await eventually(() => events.length === 8);
  assert.deepEqual(seqs(events), range(1, 8));
});

it("reads one stream several times on one client", async () => {
  const { stream, bid } = await market();
  for (let n = 0; n < 3; n++) await bid();
  const client = clientOf(undefined, { transports });
  const first = client.subscribe(stream, { after: 3 });
  assert.deepEqual(seqs(await read(first, 1)), [4]);
  const second = client.subscribe(stream, { after: 0 });
  const third = client.subscribe(stream);
  const reading = third.next();
  await eventually(() => third.seq === 4);
  assert.deepEqual(seqs(await read(second, 4)), [1, 2, 3, 4]);
  await bid();
  assert.deepEqual(seqs(await read(first, 1)), [5]);
  assert.deepEqual(seqs(await read(second, 1)), [5]);
  assert.equal((await reading).value.seq, 5);
  second.unsubscribe();
  await bid();
  assert.deepEqual(seqs(await read(first, 1)), [6]);
  assert.equal((await third.next()).value.seq, 6);
});

it("keeps no more than it was told to for a slow reader, and loses nothing", async () => {
  const { stream, bid } = await market();
  for (let n = 0; n < 12; n++) await bid();
  const subscription = clientOf(undefined, { transports }).subscribe(stream, { after: 0, buffer: 4 });
  const events = await read(subscription, 3);
  for (let n = 0; n < 7; n++) await bid();
  assert.ok(subscription.items.length <= 4);
  events.push(...(await read(subscription, 17)));
  assert.deepEqual(seqs(events), range(1, 20));
});

it("waits for a slow callback", async () => {
  const events = [];
  let active = 0;
  const subscription = clientOf(undefined, { transports }).subscribe(made.stream, {
    after: 0,
    buffer: 1,
    onEvent: async (event) => {
      assert.equal(++active, 1);
      await new Promise((resolve) => setImmediate(resolve));
      active--;
      events.push(event.seq);
    },
  });
  await eventually(() => events.length === 5);
  assert.deepEqual(events, range(1, 5));
  subscription.unsubscribe();
  await subscription.closed;
});

it("ends cleanly by a signal, by leaving the loop, and with the client", async () => {
  const client = clientOf(undefined, { transports });
  const stop = new AbortController();
  const aborted = client.subscribe(made.stream, { after: 0, signal: stop.signal });
  for await (const event of aborted) if (event.seq === 5) stop.abort();
  await aborted.closed;
  const left = client.subscribe(made.stream, { after: 0 });
  for await (const event of left) if (event.seq === 2) break;
  await left.closed;
  const open = client.subscribe(made.stream, { after: 5 });
  const next = open.next();
  client.close();
  assert.equal((await next).done, true);
  await open.closed;
  assert.throws(() => client.subscribe(made.stream), { code: "CLOSED" });
});

it("fails with typed errors", async () => {
  const client = clientOf(undefined, { transports });
  const unknown = client.subscribe("auction:nothing", { after: 0 });
  await assert.rejects(unknown.next(), { name: "RialtoError", code: "NOT_FOUND", retryable: false });
  await assert.rejects(unknown.closed, { code: "NOT_FOUND" });
  const failing = client.subscribe(made.stream, {
    after: 0,
    onEvent: () => Promise.reject(new Error("the reader's own")),
  });
  await assert.rejects(failing.closed, /the reader's own/);
  const { stream } = await market();
  await assert.rejects(client.subscribe(stream, { after: -1 }).next(), (error) => {
    assert.equal(error.code, "VALIDATION_FAILED");
    assert.ok(Array.isArray(error.details.errors), JSON.stringify(error.details));
    return true;
  });
});

it("needs a login for rooms, the right one", async () => {
  const { ann, bob, roomStream } = await room();
  const mine = clientOf(ann, { transports }).subscribe(roomStream, { after: 0 });
  assert.equal((await mine.next()).value.seq, 1);
  await assert.rejects(clientOf(bob, { transports }).subscribe(roomStream).next(), { code: "FORBIDDEN" });
  await assert.rejects(clientOf(undefined, { transports }).subscribe(roomStream).next(), (error) =>
    ["UNAUTHENTICATED", "FORBIDDEN"].includes(error.code),
  );
});
