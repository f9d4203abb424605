// Jobs: posting, reading, lists, changes, cancelling, and what is refused.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { A, B, call, inSeconds, jobBody, newKey, ok, person, posted, refused, RFC3339 } from "./market.mjs";

let owner, freelancer;

before(async () => {
  [owner, freelancer] = await Promise.all([person("client"), person("freelancer")]);
});

describe("posting", () => {
  it("opens the auction", async () => {
    const { status, body: job } = await call("POST", "/jobs", { token: owner.token, body: jobBody(), key: newKey() });
    assert.equal(status, 201);
    const { auction } = job;
    assert.deepEqual([auction.format, auction.status, auction.bid_count, auction.price], ["reverse", "open", 0, null]);
    assert.equal(auction.seq, 1);
    assert.match(auction.end_at, RFC3339);
    const read = await ok("GET", `/jobs/${job.id}`, { at: B });
    assert.deepEqual([read.id, read.title, read.skills, read.budget], [job.id, job.title, job.skills, job.budget]);
    const alone = await ok("GET", `/auctions/${auction.id}`, { at: B });
    assert.equal(alone.id, auction.id);
    assert.ok(alone.job === job.id || alone.job.id === job.id);
  });

  it("happens once per key", async () => {
    const key = newKey();
    const body = jobBody();
    const [first, again] = [
      await ok("POST", "/jobs", { token: owner.token, body, key }),
      await ok("POST", "/jobs", { at: B, token: owner.token, body, key }),
    ];
    assert.equal(first.id, again.id);
    await refused(409, "IDEMPOTENCY_MISMATCH", "POST", "/jobs", { token: owner.token, body: jobBody({ title: "Another" }), key });
  });

  it("is for clients", async () => {
    await refused(401, "UNAUTHENTICATED", "POST", "/jobs", { body: jobBody() });
    await refused(403, "FORBIDDEN", "POST", "/jobs", { token: freelancer.token, body: jobBody() });
  });

  const impossible = {
    "no title": { title: "" },
    "a budget upside down": { budget: { min: 5, max: 4, currency: "EUR" } },
    "a fractional budget": { budget: { min: 1.5, max: 4, currency: "EUR" } },
    "a negative budget": { budget: { min: -1, max: 4, currency: "EUR" } },
    "an unknown currency": { budget: { min: 1, max: 4, currency: "XYZ" } },
    "an unknown format": { auction: { format: "dutch" } },
    "an amount as text": { auction: { start_amount: "100000" } },
    "an amount beyond 64 bits": { auction: { start_amount: 10 ** 20 } },
    "an end in the past": { auction: { end_at: inSeconds(-60) } },
    "an end before the start": { auction: { start_at: inSeconds(7200), end_at: inSeconds(3600) } },
    "an end that is no time": { auction: { end_at: "tomorrow" } },
    "unsorted increments": { auction: { increments: [{ from: 100, step: 10 }, { from: 0, step: 5 }] } },
    "increments that begin twice": { auction: { increments: [{ from: 0, step: 10 }, { from: 0, step: 5 }] } },
    "an increment of nothing": { auction: { increments: [{ from: 0, step: 0 }] } },
  };
  for (const [name, overrides] of Object.entries(impossible)) {
    it(`refuses ${name}`, async () => {
      const answer = await call("POST", "/jobs", { token: owner.token, body: jobBody(overrides) });
      assert.equal(answer.status, 422, JSON.stringify(answer.body));
      assert.ok(["VALIDATION_FAILED", "AMOUNT_INVALID", "CURRENCY_MISMATCH"].includes(answer.body.code), answer.body.code);
    });
  }

  it("refuses NaN, which is no JSON", async () => {
    const body = JSON.stringify(jobBody()).replace("100000", "NaN");
    await refused(400, "MALFORMED_JSON", "POST", "/jobs", { token: owner.token, body });
  });
});

describe("lists", () => {
  const category = "translation";
  const title = `Listed ${newKey()}`;

  before(async () => {
    for (let n = 0; n < 5; n++)
      await posted(owner, { title: `${title} ${n}`, skills: ["listed"], budget: { min: 100 * n, max: 1000 + 100 * n, currency: "EUR" } });
  });

  it("go on with a cursor, without repetition", async () => {
    const seen = [];
    let cursor = "";
    do {
      const page = await ok("GET", `/jobs?limit=2&skills=listed${cursor && `&cursor=${cursor}`}`, { at: seen.length % 4 ? B : A });
      assert.ok(page.items.length <= 2);
      seen.push(...page.items.map((job) => job.id));
      cursor = page.next_cursor ?? "";
    } while (cursor);
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.length >= 5);
  });

  it("come in pages with a total", async () => {
    const page = await ok("GET", `/jobs?page=1&limit=3&skills=listed`);
    assert.deepEqual([page.page, page.limit, page.items.length], [1, 3, 3]);
    assert.ok(page.total >= 5);
  });

  it("filter and sort", async () => {
    const listed = await ok("GET", `/jobs?status=open&category=${category}&skills=listed&limit=100`);
    assert.ok(listed.items.length >= 5);
    assert.ok(listed.items.every((job) => job.category === category && job.skills.includes("listed")));
    const found = await ok("GET", `/jobs?q=cookbook&limit=1`);
    assert.ok(Array.isArray(found.items));
    assert.equal((await ok("GET", "/jobs?skills=nobody-can-this")).items.length, 0);
  });

  it("refuse nonsense", async () => {
    for (const query of ["limit=0", "limit=101", "limit=x", "cursor=bad", "status=lost", "near=here", "sort=luck", "min_budget=x"])
      await refused(422, "VALIDATION_FAILED", "GET", `/jobs?${query}`);
  });
});

describe("changes", () => {
  it("are the owner's", async () => {
    const { job } = await posted(owner);
    const changed = await ok("PATCH", `/jobs/${job.id}`, { token: owner.token, body: { title: "Translate two cookbooks" } });
    assert.equal(changed.title, "Translate two cookbooks");
    const stranger = await person("client");
    await refused(403, "FORBIDDEN", "PATCH", `/jobs/${job.id}`, { token: stranger.token, body: { title: "Mine" } });
    await refused(403, "FORBIDDEN", "POST", `/jobs/${job.id}/cancel`, { token: stranger.token, body: {} });
    await refused(404, "NOT_FOUND", "GET", "/jobs/nothing");
  });

  it("end with cancelling", async () => {
    const { job, auction } = await posted(owner);
    await ok("POST", `/jobs/${job.id}/cancel`, { token: owner.token, body: {} });
    assert.equal((await ok("GET", `/auctions/${auction}`, { at: B })).status, "cancelled");
  });
});
