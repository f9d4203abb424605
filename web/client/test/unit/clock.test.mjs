import assert from "node:assert/strict";
import { it } from "node:test";

import { best, judge, ServerClock } from "../../dist/clock.js";

it("bounds the error by half the round trip, however unequal the ways", () => {
  for (const [there, back] of [
    [0, 100],
    [100, 0],
    [50, 50],
    [3, 90],
  ]) {
    const ahead = 5000;
    const t0 = 1000;
    const t1 = t0 + there + ahead;
    const t2 = t1 + 7;
    const { offset_ms, error_ms } = judge({ t0, t1, t2, t3: t2 - ahead + back });
    assert.ok(Math.abs(offset_ms - ahead) <= error_ms, `${offset_ms} ${error_ms}`);
    assert.ok(error_ms <= (there + back) / 2 + 1);
  }
});

it("prefers the sample with the least error", () => {
  assert.equal(
    best([
      { offset_ms: 1, error_ms: 9 },
      { offset_ms: 2, error_ms: 3 },
      { offset_ms: 3, error_ms: 5 },
    ]).offset_ms,
    2,
  );
  assert.equal(best([]), undefined);
});

it("takes at least five samples, keeps the better, and drops one that can't be right any more", async () => {
  let local = 0;
  let delay = 10;
  let server = 100;
  let asked = 0;
  const ask = async () => {
    asked++;
    local += delay;
    const t = local + server;
    local += delay;
    return { t1: t, t2: t };
  };
  const clock = new ServerClock(ask, () => local);
  assert.equal(clock.error_ms, Number.POSITIVE_INFINITY);
  await clock.sync(1);
  assert.deepEqual([asked, clock.offset_ms, clock.now()], [5, 100, local + 100]);
  delay = 30;
  await clock.sync();
  assert.ok(clock.error_ms < 12, "a worse reading has replaced a better one");
  server = 10_000;
  await clock.sync();
  assert.equal(clock.offset_ms, 10_000);
  clock.close();
});
