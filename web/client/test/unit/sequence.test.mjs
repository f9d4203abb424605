import assert from "node:assert/strict";
import { it } from "node:test";

import { Sequence } from "../../dist/sequence.js";

const events = (...seqs) => seqs.map((seq) => ({ seq }));
const seqs = (taken) => taken.fresh.map((event) => event.seq);

it("takes what comes next and drops what it has", () => {
  const sequence = new Sequence(2);
  assert.deepEqual(seqs(sequence.next(events(1, 2, 3, 3, 4), 10)), [3, 4]);
  assert.deepEqual(seqs(sequence.next(events(3, 4), 10)), []);
  assert.equal(sequence.last, 4);
});

it("stops at a gap", () => {
  const sequence = new Sequence(0);
  const taken = sequence.next(events(1, 3, 4), 10);
  assert.deepEqual([seqs(taken), taken.gap, sequence.last], [[1], true, 1]);
  assert.deepEqual(seqs(sequence.next(events(2, 3, 4), 10)), [2, 3, 4]);
});

it("takes no more than there is room for, and the rest later", () => {
  const sequence = new Sequence(0);
  const taken = sequence.next(events(1, 2, 3), 2);
  assert.deepEqual([seqs(taken), taken.gap, taken.rest], [[1, 2], false, true]);
  assert.deepEqual(seqs(sequence.next(events(1, 2, 3), 2)), [3]);
});

it("takes nothing before it knows where it begins", () => {
  assert.equal(new Sequence(undefined).next(events(1), 10).gap, true);
});

it("gives every seq once and in order, however pieces overlap, repeat and get lost", () => {
  let random = 1;
  const next = (below) => {
    random = (random * 48271) % 2147483647;
    return random % below;
  };
  for (let round = 0; round < 300; round++) {
    const sequence = new Sequence(0);
    const given = [];
    while (given.length < 50) {
      // Either what is really missing, or any piece of the past or of the future.
      const from = next(3) === 0 ? sequence.last : next(60);
      const piece = events(...Array.from({ length: next(8) }, (_, n) => from + n + 1));
      given.push(...seqs(sequence.next(piece, next(5))));
    }
    assert.deepEqual(
      given,
      Array.from({ length: given.length }, (_, n) => n + 1),
    );
  }
});
