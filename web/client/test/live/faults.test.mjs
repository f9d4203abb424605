// What a correct server and network never do, and what ends a right to read.

import assert from "node:assert/strict";
import { it } from "node:test";

import { A, eventually, history, newKey, ok } from "../../../../tests/js/market.mjs";
import { clientOf, market, range, read, seqs } from "./people.mjs";
import { Road } from "./road.mjs";

for (const [transport, piece] of [
  ["websocket", /42\/bidding,\["events"/],
  ["sse", /data: \{/],
])
  it(`fetches what a network has swallowed, before it goes on, over ${transport}`, async () => {
    const { stream, bid } = await market();
    const road = await Road.to(A);
    const subscription = clientOf(undefined, { transports: [transport], url: road.url }).subscribe(stream, {
      after: 0,
    });
    await read(subscription, 1);
    await bid();
    await read(subscription, 1);
    road.swallowed = piece;
    await bid();
    await eventually(() => road.swallows === 1);
    await bid();
    assert.deepEqual(await read(subscription, 2), (await history(stream)).slice(2));
    await bid();
    assert.deepEqual(seqs(await read(subscription, 1)), [5]);
  });

for (const transport of ["websocket", "polling", "sse", "longpoll"])
  it(`tells who was removed from a room, over ${transport}`, async () => {
    const { owner, ann, job, bid } = await market();
    await bid();
    await bid();
    const asAnn = clientOf(ann, { transports: [transport] });
    const { id } = await ok("POST", "/rooms", { token: ann.token, body: { kind: "job", job: job.id }, key: newKey() });
    await asAnn.send({ room: id, text: "Good morning" });
    const events = [];
    const subscription = asAnn.subscribe(`room:${id}`, { after: 0, onEvent: (event) => events.push(event) });
    await eventually(() => events.some((event) => event.type === "message"));
    await ok("DELETE", `/rooms/${id}/members/${ann.id}`, { token: owner.token, key: newKey() });
    await assert.rejects(subscription.closed, { code: "FORBIDDEN", retryable: false });
    assert.deepEqual(seqs(events), range(1, events.length));
  });
