import assert from "node:assert/strict";
import { it } from "node:test";

import { abort, abortable, following, reasonOf, sleep, throwIfAborted } from "../../dist/waiting.js";

it("ends a wait with the signal's reason, and stops what was begun", async () => {
  const stop = new AbortController();
  let stopped = 0;
  const waiting = abortable(stop.signal, () => () => stopped++);
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  assert.equal(stopped, 1);
  await assert.rejects(sleep(1e9, stop.signal), /enough/);
});

it("stops what is over as soon as it was begun", async () => {
  let stopped = 0;
  const begin = (resolve) => (resolve("now"), () => stopped++);
  assert.equal(await abortable(undefined, begin), "now");
  assert.equal(stopped, 1);
});

it("follows several signals until it is released", () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const all = Array.from({ length: 30 }, () => following(one.signal, undefined, other.signal));
  all[0].release();
  other.abort("over");
  assert.equal(all[0].controller.signal.aborted, false);
  assert.ok(all.slice(1).every(({ controller }) => controller.signal.reason === "over"));
  assert.equal(following(other.signal).controller.signal.aborted, true);
});

it("knows reasons where signals carry none, as in React Native", async () => {
  const [reason, throws] = ["reason", "throwIfAborted"].map((name) =>
    Object.getOwnPropertyDescriptor(AbortSignal.prototype, name),
  );
  Object.defineProperty(AbortSignal.prototype, "reason", { get: () => undefined, configurable: true });
  Object.defineProperty(AbortSignal.prototype, "throwIfAborted", { value: undefined, configurable: true });
  try {
    const stop = new AbortController();
    const { controller } = following(stop.signal);
    abort(stop, new Error("enough"));
    assert.throws(() => throwIfAborted(controller.signal), /enough/);
    await assert.rejects(sleep(1e9, controller.signal), /enough/);
    const bare = new AbortController();
    bare.abort();
    assert.equal(reasonOf(bare.signal).name, "AbortError");
  } finally {
    Object.defineProperty(AbortSignal.prototype, "reason", reason);
    Object.defineProperty(AbortSignal.prototype, "throwIfAborted", throws);
  }
});
