// Commands, by the transport in CLIENT_TRANSPORT: once each, whatever is lost on the way, and refused with typed errors.

import assert from "node:assert/strict";
import { before, it } from "node:test";

import { A, eventually, history, newKey } from "../../../../tests/js/market.mjs";
import { RialtoError } from "../../dist/index.js";
import { clientOf, market, read, room } from "./people.mjs";
import { Road } from "./road.mjs";

const transports = [process.env.CLIENT_TRANSPORT];
const sockets = ["websocket", "polling"].includes(transports[0]);
let made;

before(async () => {
  made = await room();
});

it("bids, and is told the result", async () => {
  const { ann, auction, stream, lower } = await market();
  const client = clientOf(ann, { transports });
  const amount = lower();
  const key = newKey();
  const answer = await client.bid({ auction, amount }, { key });
  assert.deepEqual([answer.seq, answer.price, answer.leading, answer.ok], [2, amount, true, undefined]);
  assert.equal((await client.bid({ auction, amount }, { key })).replayed, true);
  assert.deepEqual(await client.retract({ auction, seq: 2, reason: "typo" }), { seq: 3 });
  assert.deepEqual(
    (await history(stream)).map((event) => event.type),
    ["opened", "bid", "retracted"],
  );
});

it("carries out once what it must send twice", async () => {
  const { ann, auction, stream, lower } = await market();
  const road = await Road.to(A);
  const client = clientOf(ann, { transports, url: road.url });
  await client.rest("GET", "/users/me");
  // The answer is lost, after the bid was placed.
  road.lost = sockets ? /43\/bidding,\d+\[\{"ok":true,"seq"/ : /HTTP\/1.1 201/;
  const answer = await client.bid({ auction, amount: lower() });
  assert.deepEqual([road.losses, answer.seq, answer.replayed], [1, 2, true]);
  assert.equal((await history(stream)).length, 2);
});

it("waits for a connection, and not when it is told so", async () => {
  const { ann, auction, lower } = await market();
  const road = await Road.to(A);
  road.close();
  const client = clientOf(ann, { transports, url: road.url });
  const amount = lower();
  const placing = client.bid({ auction, amount });
  await eventually(() => road.count > 1);
  road.open();
  assert.equal((await placing).seq, 2);
  const stop = new AbortController();
  road.close();
  const aborted = client.bid({ auction, amount: lower() }, { signal: stop.signal });
  stop.abort();
  await assert.rejects(aborted, { name: "AbortError" });
  const closed = client.bid({ auction, amount: lower() });
  client.close();
  await assert.rejects(closed, { code: "CLOSED" });
});

it("fails with typed errors", async () => {
  const { ann, auction, lower } = await market();
  const client = clientOf(ann, { transports });
  const first = lower();
  await client.bid({ auction, amount: first });
  const refused = (body, expected, by = client) =>
    assert.rejects(by.bid({ auction, amount: first, ...body }), (error) => {
      assert.ok(error instanceof RialtoError && error instanceof Error);
      assert.deepEqual([error.code, error.retryable], [expected, false]);
      assert.ok(error.message.length > 0);
      return true;
    });
  await refused({}, "ALREADY_LEADING");
  await refused({ amount: "much" }, "VALIDATION_FAILED");
  await refused({ auction: "nothing" }, "AUCTION_NOT_FOUND");
  await refused({ if_seq: 1, amount: lower(), kind: "auto" }, "STALE_STATE");
  await refused({}, "UNAUTHENTICATED", clientOf(undefined, { transports }));
  const { bob } = made;
  const weak = await clientOf(bob, { transports })
    .bid({ auction, amount: first })
    .catch((error) => error);
  assert.equal(weak.code, "BID_TOO_WEAK");
  assert.equal(weak.details.min_next, first - 100);
  const invalid = await client.bid({ auction, amount: "much" }).catch((error) => error);
  assert.ok(invalid.details.errors[0].loc.includes("amount"), JSON.stringify(invalid.details));
});

it("chats", async () => {
  const { ann, owner, room: id, roomStream } = made;
  const [one, other] = [clientOf(owner, { transports }), clientOf(ann, { transports })];
  const { seq: start } = await one.rest("GET", `/streams/${roomStream}`);
  const subscription = other.subscribe(roomStream, { after: start });
  const { seq } = await one.send({ room: id, text: "What news on the Rialto?" });
  await one.edit({ room: id, seq, text: "What news?" });
  await other.react({ room: id, seq, emoji: "👍", on: true });
  await other.react({ room: id, seq, emoji: "👍", on: false });
  await one.delete({ room: id, seq });
  await other.readRoom({ room: id, seq });
  const types = (await read(subscription, 5)).map((event) => event.type);
  assert.deepEqual(types, ["message", "edited", "reaction", "reaction", "deleted"]);
  if (!sockets) await assert.rejects(one.typing({ room: id, on: true }), { code: "UNSUPPORTED" });
});

it("hears what has no seq", { skip: !sockets }, async () => {
  const { ann, owner, room: id, roomStream } = made;
  const [one, other] = [clientOf(owner, { transports }), clientOf(ann, { transports })];
  const told = [];
  other.on("typing", (signal) => told.push(signal));
  const subscription = other.subscribe(roomStream, { after: 0 });
  await read(subscription, 1);
  await eventually(async () => {
    await one.typing({ room: id, on: true });
    return told.length > 0;
  });
  assert.deepEqual(told[0], { room: id, user: owner.id, on: true });
});

it("reads notifications", async () => {
  const { owner } = made;
  const client = clientOf(owner, { transports });
  const inbox = client.subscribe(`user:${owner.id}`, { after: 0 });
  const [first] = await read(inbox, 1);
  const answer = await client.readNotifications({ seq: first.seq });
  assert.equal(typeof answer.unread, "number");
});
