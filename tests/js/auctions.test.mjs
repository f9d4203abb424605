// Live bidding over every transport on two instances: acks, refusals, replays, order, resuming.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { command, connect, dense, received, TRANSPORTS, transportOf, until, upgraded } from "./client.mjs";
import { A, B, call, history, inSeconds, newKey, ok, person, posted, refused, RFC3339 } from "./market.mjs";

const sockets = [];
let owner, ann, bob;

before(async () => {
  [owner, ann, bob] = await Promise.all([person("both", "Owner"), person("freelancer", "Ann"), person("both", "Bob")]);
});

after(() => sockets.forEach((socket) => socket.close()));

async function enter(url, who, transport) {
  const socket = await connect(url, "/bidding", { transport, token: who?.token });
  sockets.push(socket);
  return socket;
}

const bid = (socket, auction, amount, more = {}) => command(socket, "bid", { auction, amount, key: newKey(), ...more });

function refusal(answer, code) {
  assert.equal(answer.ok, false, JSON.stringify(answer));
  assert.equal(answer.error.code, code, JSON.stringify(answer));
  assert.equal(typeof answer.error.message, "string");
  assert.equal(typeof answer.error.retryable, "boolean");
  return answer.error.details ?? {};
}

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`bidding over ${transport}`, () => {
    it("acknowledges, delivers to everybody on both instances, and hides the person", async () => {
      const { auction, stream } = await posted(owner);
      const [a, b, guest] = await Promise.all([enter(A, ann, transport), enter(B, bob, transport), enter(B, null, transport)]);
      for (const socket of [a, b, guest]) {
        const opening = await command(socket, "subscribe", { stream });
        assert.deepEqual([opening.ok, opening.stream, opening.seq, opening.events, opening.more], [true, stream, 1, [], false]);
        assert.equal(opening.state.price, null);
      }
      const first = await bid(a, auction, 90_000);
      assert.deepEqual([first.ok, first.seq, first.price, first.leading], [true, 2, 90_000, true]);
      assert.match(first.end_at, RFC3339);
      const second = await bid(b, auction, 80_000);
      assert.deepEqual([second.seq, second.price, second.leading], [3, 80_000, true]);
      for (const socket of [a, b, guest]) {
        const events = await until(socket, stream, (all) => all.length >= 2);
        assert.deepEqual(events.map(({ seq, type, price }) => [seq, type, price]), [[2, "bid", 90_000], [3, "bid", 80_000]]);
        const [event] = events;
        assert.match(event.t, RFC3339);
        assert.ok(event.bidder && event.leader && event.end_at && event.amount);
        assert.ok(!JSON.stringify(events).includes(ann.id));
      }
      assert.deepEqual(received(a, stream), received(b, stream));
    });

    it("lets an automatic bid defend itself", async () => {
      const { auction } = await posted(owner);
      const [a, b] = [await enter(A, ann, transport), await enter(B, bob, transport)];
      const limit = await bid(a, auction, 50_000, { kind: "auto" });
      assert.deepEqual([limit.price, limit.leading], [100_000, true]);
      const beaten = await bid(b, auction, 60_000);
      assert.deepEqual([beaten.price, beaten.leading], [59_900, false]);
      refusal(await bid(a, auction, 40_000), "ALREADY_LEADING");
      refusal(await bid(a, auction, 55_000, { kind: "auto" }), "LIMIT_NOT_IMPROVED");
      assert.ok((await bid(a, auction, 45_000, { kind: "auto" })).ok);
    });

    it("refuses with typed codes and changes nothing", async () => {
      const { auction, stream } = await posted(owner, { auction: { confirm_jump_percent: 30 } });
      const [a, b, own, guest] = [
        await enter(A, ann, transport),
        await enter(B, bob, transport),
        await enter(A, owner, transport),
        await enter(A, null, transport),
      ];
      assert.ok((await bid(a, auction, 90_000)).ok);
      refusal(await bid(guest, auction, 80_000), "UNAUTHENTICATED");
      refusal(await bid(own, auction, 80_000), "SELF_BID");
      refusal(await bid(b, "nothing", 80_000), "AUCTION_NOT_FOUND");
      assert.equal(refusal(await bid(b, auction, 89_950), "BID_TOO_WEAK").min_next, 89_900);
      refusal(await bid(b, auction, 100_001), "BEYOND_START");
      refusal(await bid(b, auction, 10_000), "CONFIRM_REQUIRED");
      refusal(await bid(b, auction, 80_000, { if_seq: 1 }), "STALE_STATE");
      for (const amount of [-1, 1.5, "80000", 1e20, null, true, [80_000]]) {
        const answer = await bid(b, auction, amount);
        assert.ok(["VALIDATION_FAILED", "AMOUNT_INVALID"].includes(answer.error?.code), JSON.stringify(answer));
      }
      const missing = refusal(await command(b, "bid", { auction }), "VALIDATION_FAILED");
      assert.ok(missing.errors.some((error) => error.loc.includes("amount")), JSON.stringify(missing));
      refusal(await command(b, "bid"), "VALIDATION_FAILED");
      refusal(await command(b, "bet", { auction }), "UNKNOWN_COMMAND");
      assert.equal((await history(stream)).length, 2);
      assert.ok((await bid(b, auction, 10_000, { confirm: true, if_seq: 2 })).ok);
    });

    it("answers a replay on any instance with the first result", async () => {
      const { auction, stream } = await posted(owner);
      const [a, b] = [await enter(A, ann, transport), await enter(B, ann, transport)];
      const body = { auction, amount: 90_000, key: newKey() };
      const first = await command(a, "bid", body);
      const again = await command(b, "bid", body);
      assert.deepEqual(again, { ...first, replayed: true });
      refusal(await command(b, "bid", { ...body, amount: 80_000 }), "IDEMPOTENCY_MISMATCH");
      assert.equal((await history(stream)).filter((event) => event.type === "bid").length, 1);
    });

    it("handles the commands of one connection in order", async () => {
      const { auction } = await posted(owner);
      const a = await enter(A, ann, transport);
      const b = await enter(A, bob, transport);
      const amounts = Array.from({ length: 10 }, (_, n) => 90_000 - n * 1000);
      const answers = await Promise.all(amounts.map((amount) => bid(a, auction, amount, { kind: "auto" })));
      assert.deepEqual(answers.map((answer) => answer.seq), amounts.map((_, n) => n + 2));
      assert.ok((await bid(b, auction, 50_000)).leading);
    });

    it("resumes on the other instance without gap or repetition", async () => {
      const { auction, stream } = await posted(owner);
      const [a, b] = [await enter(A, ann, transport), await enter(B, bob, transport)];
      const before = await enter(A, null, transport);
      await command(before, "subscribe", { stream });
      let amount = 90_000;
      const exchange = async (rounds) => {
        for (let n = 0; n < rounds; n++) {
          assert.ok((await bid(a, auction, (amount -= 500))).ok);
          assert.ok((await bid(b, auction, (amount -= 500))).ok);
        }
      };
      await exchange(3);
      const seen = await until(before, stream, (all) => all.length >= 4);
      before.close();
      const last = seen.at(-1).seq;
      const later = await enter(B, null, transport);
      const bidding = exchange(5);
      const opening = await command(later, "subscribe", { stream, after: last });
      if (transport === "default") await upgraded(later);
      await bidding;
      const rest = await until(later, stream, (all) => opening.events.length + all.length >= 17 - last);
      const whole = [...seen, ...opening.events, ...rest];
      assert.ok(dense(whole, 2), JSON.stringify(whole.map((event) => event.seq)));
      assert.deepEqual(whole, (await history(stream, { at: B })).slice(1));
      if (transport === "default") assert.equal(transportOf(later), "websocket");
    });

    it("retracts", async () => {
      const { auction, stream } = await posted(owner);
      const [a, b] = [await enter(A, ann, transport), await enter(B, bob, transport)];
      await command(b, "subscribe", { stream });
      const placed = await bid(a, auction, 9_000);
      refusal(await command(b, "retract", { auction, seq: placed.seq, reason: "typo", key: newKey() }), "RETRACT_NOT_ALLOWED");
      const answer = await command(a, "retract", { auction, seq: placed.seq, reason: "typo", key: newKey() });
      assert.deepEqual([answer.ok, answer.seq], [true, placed.seq + 1], JSON.stringify(answer));
      const events = await until(b, stream, (all) => all.length >= 2);
      assert.equal(events.at(-1).type, "retracted");
      refusal(await command(a, "retract", { auction, seq: placed.seq, reason: "whim", key: newKey() }), "VALIDATION_FAILED");
    });

    it("tells the cluster's time", async () => {
      const socket = await enter(B, null, transport);
      const t0 = Date.now();
      const answer = await command(socket, "sync_time", { t0 });
      assert.deepEqual([answer.ok, answer.t0], [true, t0]);
      assert.ok(answer.t1 <= answer.t2 && Math.abs(answer.t1 - t0) < 10_000);
    });
  });
}

describe("the same over REST", () => {
  it("places, replays and retracts", async () => {
    const { auction, stream } = await posted(owner);
    const path = `/auctions/${auction}/bids`;
    await refused(422, "VALIDATION_FAILED", "POST", path, { token: ann.token, body: { amount: 90_000 } });
    const key = newKey();
    const first = await call("POST", path, { token: ann.token, body: { amount: 90_000 }, key });
    assert.equal(first.status, 201, JSON.stringify(first.body));
    assert.deepEqual([first.body.seq, first.body.price, first.body.leading], [2, 90_000, true]);
    const again = await call("POST", path, { at: B, token: ann.token, body: { amount: 90_000 }, key });
    assert.equal(again.body.replayed, true);
    assert.equal(again.body.seq, 2);
    await refused(409, "IDEMPOTENCY_MISMATCH", "POST", path, { token: ann.token, body: { amount: 80_000 }, key });
    await refused(409, "BID_TOO_WEAK", "POST", path, { token: bob.token, body: { amount: 90_000 }, key: newKey() });
    await refused(403, "SELF_BID", "POST", path, { token: owner.token, body: { amount: 80_000 }, key: newKey() });
    await refused(404, "AUCTION_NOT_FOUND", "POST", "/auctions/nothing/bids", { token: ann.token, body: { amount: 1 }, key: newKey() });
    await ok("POST", `${path}/2/retract`, { token: ann.token, body: { reason: "scope_changed" }, key: newKey() });
    assert.deepEqual((await history(stream)).map((event) => event.type), ["opened", "bid", "retracted"]);
  });

  it("exports a verifiable log", async () => {
    const { auction, stream } = await posted(owner);
    await ok("POST", `/auctions/${auction}/bids`, { token: ann.token, body: { amount: 90_000 }, key: newKey() });
    const { body, headers } = await call("GET", `/auctions/${auction}/log`, { at: B });
    assert.match(headers.get("content-type"), /jsonl|ndjson|json-seq/);
    const lines = body.trim().split("\n").map((line) => JSON.parse(line));
    const events = lines.filter((line) => "seq" in line);
    assert.deepEqual(events, await history(stream));
    assert.ok(events.every((event) => /^[0-9a-f]{64}$/.test(event.hash)));
  });

  it("lets only the owner award", async () => {
    const { auction } = await posted(owner, { auction: { format: "proposal" } });
    await ok("POST", `/auctions/${auction}/bids`, {
      token: ann.token,
      body: { amount: 90_000, delivery_days: 5, cover_letter: "With pleasure." },
      key: newKey(),
    });
    const answer = await call("POST", `/auctions/${auction}/award`, { token: bob.token, body: {} });
    assert.equal(answer.status, 403, JSON.stringify(answer.body));
  });
});

describe("the end of an auction", () => {
  it("comes once, at its time, and names a winner who accepts", async () => {
    const { auction, stream } = await posted(owner, { auction: { end_at: inSeconds(3), soft_close: { window_s: 0, extension_s: 0 } } });
    const watchers = [await enter(A, null), await enter(B, null)];
    for (const socket of watchers) await command(socket, "subscribe", { stream });
    const [a, b] = [await enter(A, ann), await enter(B, bob)];
    assert.ok((await bid(a, auction, 90_000)).ok);
    const last = await bid(b, auction, 80_000);
    assert.ok(last.ok);
    for (const socket of watchers) {
      const events = await until(socket, stream, (all) => all.some((event) => event.type === "awarded"));
      const closed = events.filter((event) => event.type === "closed");
      assert.deepEqual(closed.map((event) => event.t), [last.end_at]);
    }
    refusal(await bid(a, auction, 70_000), "AUCTION_CLOSED");
    assert.equal((await ok("GET", `/auctions/${auction}`, { at: B })).status, "awarded");
    await ok("POST", `/auctions/${auction}/accept`, { at: B, token: bob.token, body: {}, key: newKey() });
    assert.equal((await ok("GET", `/auctions/${auction}`)).status, "accepted");
    const log = await history(stream, { at: B });
    assert.ok(dense(log, 1));
    assert.equal(log.filter((event) => event.type === "closed").length, 1);
  });

  it("moves when the lead changes in the last minute", async () => {
    const { auction, stream } = await posted(owner, {
      auction: { end_at: inSeconds(30), soft_close: { window_s: 60, extension_s: 120 } },
    });
    const [a, watcher] = [await enter(A, ann), await enter(B, null)];
    const opening = await command(watcher, "subscribe", { stream });
    const placed = await bid(a, auction, 90_000);
    assert.ok(placed.end_at > opening.state.end_at);
    const events = await until(watcher, stream, (all) => all.length >= 2);
    assert.deepEqual(events.map((event) => event.type), ["bid", "extended"]);
    assert.equal(events[1].end_at, placed.end_at);
  });

  it("is told to everybody when the owner cancels", async () => {
    const { job, auction, stream } = await posted(owner);
    const watcher = await enter(B, null);
    await command(watcher, "subscribe", { stream });
    await ok("POST", `/jobs/${job.id}/cancel`, { token: owner.token, body: {} });
    const [event] = await until(watcher, stream, (all) => all.length >= 1);
    assert.equal(event.type, "cancelled");
    const answer = await bid(await enter(A, ann), auction, 90_000);
    assert.ok(["AUCTION_CLOSED", "AUCTION_NOT_OPEN"].includes(answer.error?.code), JSON.stringify(answer));
  });
});

describe("who is who", () => {
  it("is known to the owner alone", async () => {
    const { auction } = await posted(owner);
    assert.ok((await bid(await enter(A, ann), auction, 90_000)).ok);
    const path = `/auctions/${auction}`;
    assert.ok(JSON.stringify(await ok("GET", path, { at: B, token: owner.token })).includes(ann.id));
    for (const token of [undefined, bob.token]) assert.ok(!JSON.stringify(await ok("GET", path, { token })).includes(ann.id));
  });
});

describe("private jobs", () => {
  it("keep their streams to those invited", async () => {
    const { auction, job, stream } = await posted(owner, { visibility: "invited", invited: [ann.id] });
    const guest = await enter(A, null);
    const stranger = await enter(B, bob);
    const invited = await enter(B, ann);
    for (const socket of [guest, stranger]) {
      const answer = await command(socket, "subscribe", { stream });
      assert.ok(["UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND"].includes(answer.error?.code), JSON.stringify(answer));
    }
    assert.ok((await command(invited, "subscribe", { stream })).ok);
    assert.ok((await bid(invited, auction, 90_000)).ok);
    const answer = await bid(stranger, auction, 80_000);
    assert.ok(["NOT_INVITED", "FORBIDDEN", "AUCTION_NOT_FOUND"].includes(answer.error?.code), JSON.stringify(answer));
    assert.ok([403, 404].includes((await call("GET", `/jobs/${job.id}`, { token: bob.token })).status));
  });
});

describe("sealed bids", () => {
  it("leave no trace before the close", async () => {
    const { auction, stream } = await posted(owner, { auction: { format: "sealed", show_count: false } });
    const [a, watcher] = [await enter(A, ann), await enter(B, owner)];
    await command(watcher, "subscribe", { stream });
    const placed = await bid(a, auction, 70_000);
    assert.ok(placed.ok, JSON.stringify(placed));
    const shown = JSON.stringify([
      await history(stream),
      await ok("GET", `/auctions/${auction}`, { token: owner.token }),
      received(watcher, stream),
      (await command(watcher, "subscribe", { stream })).state,
    ]);
    assert.ok(!shown.includes("70000") && !shown.includes(ann.id), shown);
    refusal(await command(watcher, "subscribe", { stream: `sealed:${auction}` }), "NOT_FOUND");
  });
});
