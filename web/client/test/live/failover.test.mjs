// An instance is killed while it is followed, by the transport in CLIENT_TRANSPORT: see tests/web/test_client.py.

import assert from "node:assert/strict";
import { it } from "node:test";

import { A, B, eventually, history } from "../../../../tests/js/market.mjs";
import { clientOf, market, range, seqs } from "./people.mjs";
import { Road } from "./road.mjs";

const transports = [process.env.CLIENT_TRANSPORT];
const sockets = ["websocket", "polling"].includes(transports[0]);
const READERS = 8;

it("goes on at another instance when its own is killed", async () => {
  const { stream, auction, bid, ann, lower } = await market();
  const road = await Road.to(A, B);
  const readers = Array.from({ length: READERS }, () => {
    const events = [];
    clientOf(undefined, { transports, url: road.url }).subscribe(stream, {
      after: 0,
      onEvent: (event) => events.push(event),
    });
    return events;
  });
  const bidder = clientOf(ann, { transports, url: road.url });
  await bid(B);
  await eventually(() => readers.every((events) => events.length === 2));
  // One command is on its way when the instance dies, and some are given while nobody may know that it is dead.
  const placed = [bidder.bid({ auction, amount: lower(), kind: "auto" })];
  process.kill(Number(process.env.INSTANCE_PID), "SIGKILL");
  const amount = lower();
  placed.push(placed[0].then(() => bidder.bid({ auction, amount, kind: "auto" })));
  const acks = await Promise.all(placed);
  await eventually(() => readers.every((events) => events.length >= 4), 60_000);
  const whole = await history(stream, { at: B });
  assert.deepEqual(seqs(whole), range(1, whole.length));
  // Each bid counts once, whatever was lost on the way.
  const own = whole.filter((event) => event.type === "bid" && acks.some((ack) => ack.seq === event.seq));
  assert.equal(own.length, 2);
  assert.equal(whole.filter((event) => event.type === "bid").length, 3);
  for (const events of readers) assert.deepEqual(events, whole);
  assert.ok(road.count > (sockets ? READERS : 0));
});
