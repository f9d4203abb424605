// An instance that ends asks its clients to come back elsewhere: INSTANCE_PID is A's.

import assert from "node:assert/strict";
import { it } from "node:test";

import { A, B, eventually } from "../../../../tests/js/market.mjs";
import { clientOf, market, range, seqs } from "./people.mjs";
import { Road } from "./road.mjs";

it("leaves an instance that ends, and misses nothing", async () => {
  const { stream, bid } = await market();
  const road = await Road.to(A, B);
  const followers = ["websocket", "polling", "sse", "longpoll"].map((transport) => {
    const events = [];
    const client = clientOf(undefined, { transports: [transport], url: road.url });
    client.subscribe(stream, { after: 0, onEvent: (event) => events.push(event) });
    return events;
  });
  await eventually(() => followers.every((events) => events.length === 1));
  process.kill(Number(process.env.INSTANCE_PID), "SIGTERM");
  for (let n = 0; n < 5; n++) await bid(B);
  await eventually(() => followers.every((events) => events.length >= 6), 60_000);
  for (const events of followers) assert.deepEqual(seqs(events), range(1, 6));
});
