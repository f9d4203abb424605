import assert from "node:assert/strict";
import { it } from "node:test";

import { RialtoError } from "../../dist/index.js";
import { pause, retrying } from "../../dist/retry.js";

const backoff = { first_ms: 1, most_ms: 4 };
const busy = () => new RialtoError("UNAVAILABLE", "busy", true);

it("waits longer each time, within bounds, and as long as it is told", () => {
  const waits = [1, 2, 3, 50].map((failures) => pause(failures, undefined, { first_ms: 100, most_ms: 1000 }, () => 1));
  assert.deepEqual(waits, [100, 200, 400, 1000]);
  assert.equal(
    pause(1, undefined, { first_ms: 100, most_ms: 1000 }, () => 0),
    50,
  );
  const told = new RialtoError("RATE_LIMITED", "", true, { retry_after_ms: 7000 });
  assert.ok(pause(1, told) >= 7000);
});

it("tries again what can be mended, nothing else", async () => {
  let left = 3;
  assert.equal(
    await retrying(async () => (left-- > 0 ? Promise.reject(busy()) : "done"), { patience_ms: 60_000, backoff }),
    "done",
  );
  let tries = 0;
  const refused = async () => {
    tries++;
    throw new RialtoError("FORBIDDEN", "no", false);
  };
  await assert.rejects(retrying(refused, { patience_ms: 60_000, backoff }), { code: "FORBIDDEN" });
  assert.equal(tries, 1);
});

it("gives up when patience ends, and when it is aborted", async () => {
  await assert.rejects(
    retrying(() => Promise.reject(busy()), { patience_ms: 0, backoff }),
    { code: "UNAVAILABLE" },
  );
  const stop = new AbortController();
  const waiting = retrying(() => Promise.reject(busy()), {
    patience_ms: 60_000,
    signal: stop.signal,
    backoff: { first_ms: 50_000, most_ms: 50_000 },
  });
  stop.abort();
  await assert.rejects(waiting, { name: "AbortError" });
});
