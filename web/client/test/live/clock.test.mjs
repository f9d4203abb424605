// The market's time: all processes run on this machine, whose clock is thereby known.

import assert from "node:assert/strict";
import { it } from "node:test";

import { clientOf } from "./people.mjs";

/** How far the instance's clock may be off this machine's, which the database's is: what it exports itself, and its grain. */
const SERVER_ERROR_MS = Number(process.env.SERVER_ERROR_MS) + 2;

/** What to add to `performance.now()`. Whatever comes between its two readings makes it smaller, so the largest counts. */
function origin() {
  const readings = Array.from({ length: 1000 }, () => Date.now() - performance.now());
  return Math.max(...readings);
}

for (const transport of ["websocket", "polling", "longpoll"])
  it(`is known within the bound, over ${transport}, however wrong one's own clock is`, async () => {
    for (const wrong of [0, -3_600_000, 86_400_123]) {
      const start = origin();
      const client = clientOf(undefined, { transports: [transport], clock: () => start + performance.now() + wrong });
      assert.equal(client.clock.error_ms, Number.POSITIVE_INFINITY);
      const { offset_ms, error_ms } = await client.clock.sync();
      const truth = start + performance.now();
      const off = Math.abs(client.clock.now() - truth);
      assert.ok(off <= client.clock.error_ms + SERVER_ERROR_MS, `${off} off, ${error_ms} allowed`);
      assert.ok(Math.abs(offset_ms + wrong) <= error_ms + SERVER_ERROR_MS);
    }
  });
