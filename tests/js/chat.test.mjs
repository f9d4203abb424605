// The namespace /chat and the rooms' REST calls, with the official client on two instances.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { TRANSPORTS, command, connect, dense, received, until } from "./client.mjs";
import { A, B, RFC3339, call, eventually, history, newKey, ok, person, posted, refused } from "./market.mjs";

let owner, ann, bob, stranger;

before(async () => {
  [owner, ann, bob, stranger] = await Promise.all([
    person("client", "Olga"),
    person("freelancer", "Ann"),
    person("freelancer", "Bob"),
    person("both", "Sam"),
  ]);
});

async function bid(who, auction, amount) {
  await ok("POST", `/auctions/${auction}/bids`, { token: who.token, body: { amount }, key: newKey() });
}

/** A job on which the people have bid. */
async function jobWith(...bidders) {
  const made = await posted(owner);
  for (const [index, bidder] of bidders.entries()) await bid(bidder, made.auction, 90_000 - index * 1_000);
  return made;
}

/** The dm of the owner and somebody who has bid: `{room, stream}`. */
async function dmWith(bidder) {
  await jobWith(bidder);
  const room = await ok("POST", "/rooms", { token: owner.token, body: { kind: "dm", user: bidder.id } });
  return { room: room.id, stream: `room:${room.id}` };
}

/** Resolves with the first ephemeral event of that name which `fits`. */
function next(socket, event, fits = () => true) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event}`)), 20_000);
    socket.on(event, function look(payload) {
      if (!fits(payload)) return;
      clearTimeout(timer);
      socket.off(event, look);
      resolve(payload);
    });
  });
}

describe("rooms", () => {
  it("are one per pair, once one has bid on the other's job", async () => {
    await refused(403, "FORBIDDEN", "POST", "/rooms", { token: owner.token, body: { kind: "dm", user: stranger.id } });
    const { room } = await dmWith(ann);
    const again = await ok("POST", "/rooms", { at: B, token: ann.token, body: { kind: "dm", user: owner.id } });
    assert.equal(again.id, room);
    for (const at of [A, B]) {
      const shown = await ok("GET", `/rooms/${room}`, { at, token: ann.token });
      assert.deepEqual([shown.id, shown.kind, shown.unread], [room, "dm", 0]);
      assert.equal(typeof shown.seq, "number");
      assert.equal(shown.members.length, 2);
      await refused(403, "FORBIDDEN", "GET", `/rooms/${room}`, { at, token: stranger.token });
    }
    const mine = await eventually(async () => {
      const { items } = await ok("GET", "/rooms", { token: ann.token });
      return items.find((item) => item.id === room);
    });
    assert.equal(mine.kind, "dm");
  });

  it("of jobs are for the client and the bidders", async () => {
    const { job } = await jobWith(ann, bob);
    const opened = await ok("POST", "/rooms", { token: ann.token, body: { kind: "job", job: job.id } });
    const same = await ok("POST", "/rooms", { at: B, token: owner.token, body: { kind: "job", job: job.id } });
    assert.equal(same.id, opened.id);
    await refused(403, "FORBIDDEN", "POST", "/rooms", { token: stranger.token, body: { kind: "job", job: job.id } });
    await refused(404, "NOT_FOUND", "POST", "/rooms", { token: ann.token, body: { kind: "job", job: "nothing" } });
  });

  it("need a token", async () => {
    await refused(401, "UNAUTHENTICATED", "GET", "/rooms");
    for (const url of [A, B]) await assert.rejects(connect(url, "/chat"), { message: "UNAUTHENTICATED" });
  });
});

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`chat over ${transport}`, () => {
    it("is the same dense stream for everybody, wherever they are", async () => {
      const { room, stream } = await dmWith(ann);
      const [olga, here] = await Promise.all([
        connect(A, "/chat", { transport, token: owner.token }),
        connect(B, "/chat", { transport, token: ann.token }),
      ]);
      const opening = await command(olga, "subscribe", { stream });
      assert.ok(opening.ok, JSON.stringify(opening));
      assert.equal((await command(here, "subscribe", { stream })).seq, opening.seq);
      const acks = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          command(n % 2 ? olga : here, "send", { room, text: `Message ${n} ✓`, key: newKey() }),
        ),
      );
      for (const ack of acks) {
        assert.ok(ack.ok, JSON.stringify(ack));
        assert.match(ack.t, RFC3339);
        assert.equal(typeof ack.id, "string");
      }
      assert.deepEqual(acks.map((ack) => ack.seq).sort((a, b) => a - b), acks.map((_, n) => opening.seq + 1 + n));
      const last = opening.seq + 10;
      const [one, two] = await Promise.all([olga, here].map((socket) => until(socket, stream, (events) => events.at(-1)?.seq === last)));
      assert.deepEqual(one, two);
      assert.ok(dense(one, opening.seq + 1));
      const of = (parity) => one.filter((event) => event.user === (parity ? owner.id : ann.id)).map((event) => event.text);
      assert.deepEqual(of(0), [0, 2, 4, 6, 8].map((n) => `Message ${n} ✓`));
      assert.deepEqual(of(1), [1, 3, 5, 7, 9].map((n) => `Message ${n} ✓`));
      assert.deepEqual(await history(stream, { at: B, token: owner.token }).then((all) => all.slice(-10)), one);
      olga.close();
      here.close();
    });

    it("resumes anywhere with exactly what was missed", async () => {
      const { room, stream } = await dmWith(ann);
      const first = await connect(A, "/chat", { transport, token: ann.token });
      const { seq } = await command(first, "subscribe", { stream });
      first.close();
      for (let n = 0; n < 5; n++) {
        await ok("POST", `/rooms/${room}/messages`, { at: n % 2 ? A : B, token: owner.token, body: { text: `${n}` }, key: newKey() });
      }
      const second = await connect(B, "/chat", { transport, token: ann.token });
      const missed = await command(second, "subscribe", { stream, after: seq });
      assert.deepEqual(missed.events.map((event) => [event.seq, event.text]), [0, 1, 2, 3, 4].map((n) => [seq + 1 + n, `${n}`]));
      assert.equal(missed.more, false);
      second.close();
    });
  });
}

describe("messages", () => {
  let room, stream, olga, here;

  before(async () => {
    ({ room, stream } = await dmWith(bob));
    olga = await connect(A, "/chat", { token: owner.token });
    here = await connect(B, "/chat", { token: bob.token });
    for (const socket of [olga, here]) assert.ok((await command(socket, "subscribe", { stream })).ok);
  });

  it("count once, however often they are sent", async () => {
    const message = { room, text: "Once only", key: newKey() };
    const first = await command(olga, "send", message);
    const again = await command(olga, "send", message);
    assert.deepEqual([again.seq, again.id, again.t, again.replayed], [first.seq, first.id, first.t, true]);
    const other = await command(olga, "send", { ...message, text: "Something else" });
    assert.equal(other.error.code, "IDEMPOTENCY_MISMATCH");
  });

  it("are edited, reacted to, replied to and deleted", async () => {
    const { seq } = await command(olga, "send", { room, text: "Helo", key: newKey() });
    const edited = await command(olga, "edit", { room, seq, text: "Hello", key: newKey() });
    assert.equal(edited.seq, seq + 1);
    assert.equal((await command(here, "edit", { room, seq, text: "Mine", key: newKey() })).error.code, "FORBIDDEN");
    const reacted = await command(here, "react", { room, seq, emoji: "👍🏽", on: true, key: newKey() });
    assert.ok(reacted.ok, JSON.stringify(reacted));
    const reply = await command(here, "send", { room, text: "Hi", reply_to: seq, key: newKey() });
    assert.ok(reply.ok, JSON.stringify(reply));
    const events = await until(olga, stream, (all) => all.at(-1)?.seq === reply.seq);
    assert.deepEqual(events.filter((event) => event.seq >= seq).map((event) => event.type), ["message", "edited", "reaction", "message"]);
    const { items } = await ok("GET", `/rooms/${room}/messages?limit=2`, { token: bob.token });
    assert.deepEqual(items.map((item) => [item.seq, item.text]), [[seq, "Hello"], [reply.seq, "Hi"]]);
    assert.equal(items[1].reply_to, seq);
    const gone = await command(olga, "delete", { room, seq, key: newKey() });
    assert.ok(gone.ok, JSON.stringify(gone));
    const after = await ok("GET", `/rooms/${room}/messages?limit=2`, { at: B, token: bob.token });
    assert.equal(after.items[0].seq, seq);
    assert.ok(!after.items[0].text, "a tombstone has no text");
    assert.equal((await command(olga, "edit", { room, seq, text: "x", key: newKey() })).error.code, "CONFLICT");
  });

  it("page both ways", async () => {
    for (let n = 0; n < 7; n++) await command(here, "send", { room, text: `page ${n}`, key: newKey() });
    const newest = await ok("GET", `/rooms/${room}/messages?limit=3`, { token: owner.token });
    assert.deepEqual(newest.items.map((item) => item.text), ["page 4", "page 5", "page 6"]);
    const before = await ok("GET", `/rooms/${room}/messages?limit=3&before=${newest.items[0].seq}`, { token: owner.token });
    assert.deepEqual(before.items.map((item) => item.text), ["page 1", "page 2", "page 3"]);
    const after = await ok("GET", `/rooms/${room}/messages?limit=3&after=${before.items[0].seq}`, { token: owner.token });
    assert.deepEqual(after.items.map((item) => item.text), ["page 2", "page 3", "page 4"]);
  });

  it("are read, and everybody sees it", async () => {
    const { seq } = await command(here, "send", { room, text: "Read me", key: newKey() });
    const unread = async () => (await ok("GET", `/rooms/${room}`, { token: owner.token })).unread;
    assert.ok((await unread()) > 0);
    const seen = next(here, "receipt", (receipt) => receipt.read_seq === seq);
    assert.deepEqual(await command(olga, "read", { room, seq }), { ok: true });
    const { room: where, user } = await seen;
    assert.deepEqual([where, user], [room, owner.id]);
    assert.equal(await unread(), 0);
    assert.equal((await command(olga, "read", { room, seq: seq + 1_000 })).error.code, "VALIDATION_FAILED");
    assert.ok((await command(olga, "read", { room, seq: 1 })).ok);
    assert.equal(await unread(), 0);
  });

  it("are announced by typing, which ends by itself", async () => {
    const started = next(here, "typing", (typing) => typing.on);
    assert.deepEqual(await command(olga, "typing", { room, on: true }), { ok: true });
    assert.deepEqual(await started, { room, user: owner.id, on: true });
    assert.deepEqual(await next(here, "typing", (typing) => !typing.on), { room, user: owner.id, on: false });
  });

  it("refuse what cannot be", async () => {
    const codes = async (bodies) => {
      const acks = await Promise.all(bodies.map(([event, body]) => command(olga, event, body)));
      return acks.map((ack) => ack.error?.code);
    };
    const send = (fields) => ["send", { room, text: "x", key: newKey(), ...fields }];
    const invalid = [
      send({ text: "" }),
      send({ text: "x".repeat(4_001) }),
      send({ text: "\u0000" }),
      send({ text: 5 }),
      send({ key: "" }),
      send({ reply_to: 0 }),
      ["react", { room, seq: 3, emoji: "not an emoji", on: true, key: newKey() }],
      ["edit", { room, seq: 3, key: newKey() }],
    ];
    assert.deepEqual(new Set(await codes(invalid)), new Set(["VALIDATION_FAILED"]));
    assert.deepEqual(await codes([send({ room: "forged" }), send({ reply_to: 2 ** 40 })]), ["NOT_FOUND", "NOT_FOUND"]);
    assert.deepEqual(await codes([["shout", {}]]), ["UNKNOWN_COMMAND"]);
    const outsider = await connect(A, "/chat", { token: stranger.token });
    for (const [event, body] of [
      ["subscribe", { stream }],
      ["subscribe", { stream, after: 0 }],
      ["send", { room, text: "Let me in", key: newKey() }],
      ["typing", { room, on: true }],
      ["read", { room, seq: 1 }],
    ]) {
      assert.equal((await command(outsider, event, body)).error.code, "FORBIDDEN", event);
    }
    outsider.close();
    const { status } = await call("POST", `/rooms/${room}/messages`, { token: owner.token, body: { text: "x" } });
    assert.equal(status, 422, "a message needs a key");
    const late = received(here, stream).some((event) => event.text === "Let me in");
    assert.equal(late, false);
  });

  it("go the same ways by REST", async () => {
    const sent = await ok("POST", `/rooms/${room}/messages`, { at: B, token: bob.token, body: { text: "By REST" }, key: newKey() });
    await ok("PATCH", `/rooms/${room}/messages/${sent.seq}`, { token: bob.token, body: { text: "By REST, edited" } });
    const { status } = await call("DELETE", `/rooms/${room}/messages/${sent.seq}`, { token: bob.token });
    assert.ok(status < 300);
    await ok("POST", `/rooms/${room}/read`, { token: owner.token, body: { seq: sent.seq } });
    const events = await until(olga, stream, (all) => all.some((event) => event.type === "deleted" && event.seq > sent.seq));
    assert.deepEqual(events.filter((event) => event.seq >= sent.seq).map((event) => event.type), ["message", "edited", "deleted"]);
    olga.close();
    here.close();
  });
});
