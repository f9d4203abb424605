// The namespace /notifications and its REST calls, with the official client on two instances.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { TRANSPORTS, command, connect, dense, until } from "./client.mjs";
import { A, B, RFC3339, eventually, history, login, newKey, ok, person, posted, refused } from "./market.mjs";

let owner;

before(async () => {
  owner = await person("client", "Olga");
});

async function bid(who, auction, amount) {
  return ok("POST", `/auctions/${auction}/bids`, { token: who.token, body: { amount }, key: newKey() });
}

const inbox = (who) => `user:${who.id}`;
const kinds = (events) => events.filter((event) => event.type === "notification").map((event) => event.kind);

for (const transport of Object.keys(TRANSPORTS)) {
  describe(`notifications over ${transport}`, () => {
    it("come to all devices, and reading on one clears the others", async () => {
      const [ann, bob] = await Promise.all([person("freelancer", "Ann"), person("freelancer", "Bob")]);
      const phone = await connect(A, "/notifications", { transport, token: ann.token });
      const desk = await connect(B, "/notifications", { transport, token: ann.token });
      const unread = { phone: [], desk: [] };
      phone.on("unread", (payload) => unread.phone.push(payload.unread));
      desk.on("unread", (payload) => unread.desk.push(payload.unread));
      for (const socket of [phone, desk]) {
        const opening = await command(socket, "subscribe", { stream: inbox(ann) });
        assert.ok(opening.ok, JSON.stringify(opening));
        assert.equal(opening.state.unread, 0);
      }
      const { auction } = await posted(owner);
      await bid(ann, auction, 90_000);
      await bid(bob, auction, 80_000);
      const outbid = (events) => kinds(events).includes("outbid");
      const [one, two] = await Promise.all([phone, desk].map((socket) => until(socket, inbox(ann), outbid)));
      assert.ok(dense(one, one[0].seq));
      const last = one.find((event) => event.kind === "outbid");
      assert.deepEqual(two.find((event) => event.kind === "outbid"), last);
      assert.match(last.t, RFC3339);
      assert.equal(last.data.auction, auction);
      await eventually(() => unread.desk.at(-1) > 0 && unread.phone.at(-1) > 0);
      const answer = await command(phone, "read", { seq: last.seq });
      assert.deepEqual([answer.ok, answer.unread], [true, 0]);
      await eventually(() => unread.desk.at(-1) === 0 && unread.phone.at(-1) === 0);
      const listed = await ok("GET", "/notifications?limit=5", { at: B, token: ann.token });
      assert.equal(listed.unread, 0);
      assert.ok(listed.items.every((item) => item.type === "notification" && item.kind && item.data && item.seq));
      phone.close();
      desk.close();
    });
  });
}

describe("kinds", () => {
  it("tell the client of each bid and the bidders of their luck", async () => {
    const [client, ann, bob] = await Promise.all([person("client"), person("freelancer"), person("freelancer")]);
    const made = await posted(client, { auction: { end_at: new Date(Date.now() + 4_000).toISOString() } });
    await bid(ann, made.auction, 90_000);
    await bid(bob, made.auction, 80_000);
    const of = async (who) => kinds(await history(inbox(who), { token: who.token }));
    const all = await eventually(async () => {
      const [owners, anns, bobs] = await Promise.all([of(client), of(ann), of(bob)]);
      return bobs.includes("won") && anns.includes("lost") && { owners, anns, bobs };
    });
    assert.equal(all.owners.filter((kind) => kind === "bid_received").length, 2);
    assert.ok(all.anns.includes("outbid"));
    assert.ok(!all.bobs.includes("lost"));
    assert.ok(!all.anns.includes("won"));
  });

  it("tell of messages only those who are not there", async () => {
    const [client, ann] = await Promise.all([person("client"), person("freelancer")]);
    const { auction } = await posted(client);
    await bid(ann, auction, 90_000);
    const room = await ok("POST", "/rooms", { token: client.token, body: { kind: "dm", user: ann.id } });
    const say = (text) => ok("POST", `/rooms/${room.id}/messages`, { token: client.token, body: { text }, key: newKey() });
    const chat = await connect(B, "/chat", { token: ann.token });
    assert.ok((await command(chat, "subscribe", { stream: `room:${room.id}` })).ok);
    await say("You are here");
    await until(chat, `room:${room.id}`, (events) => events.some((event) => event.text === "You are here"));
    chat.close();
    await eventually(async () => {
      await say("You have gone");
      return kinds(await history(inbox(ann), { token: ann.token })).includes("message");
    });
    const told = (await history(inbox(ann), { token: ann.token })).filter((event) => event.kind === "message");
    assert.ok(told.every((event) => event.data.room === room.id && !JSON.stringify(event.data).includes("You are here")));
  });

  it("tell of a new login", async () => {
    const ann = await person("freelancer");
    await login(ann);
    await eventually(async () => kinds(await history(inbox(ann), { token: ann.token })).includes("security"));
  });
});

describe("an inbox", () => {
  it("is its user's own", async () => {
    const [ann, bob] = await Promise.all([person("freelancer"), person("freelancer")]);
    for (const at of [A, B]) {
      const socket = await connect(at, "/notifications", { token: bob.token });
      const answer = await command(socket, "subscribe", { stream: inbox(ann) });
      assert.ok(["FORBIDDEN", "NOT_FOUND"].includes(answer.error.code));
      assert.ok((await command(socket, "subscribe", { stream: inbox(bob) })).ok);
      socket.close();
      await assert.rejects(connect(at, "/notifications"), { message: "UNAUTHENTICATED" });
      await refused(401, "UNAUTHENTICATED", "GET", "/notifications", { at });
    }
  });

  it("cannot be read beyond its end", async () => {
    const ann = await person("freelancer");
    const socket = await connect(A, "/notifications", { token: ann.token });
    for (const seq of [1_000_000, -1, "1", 1.5]) {
      assert.equal((await command(socket, "read", { seq })).error.code, "VALIDATION_FAILED", `${seq}`);
    }
    socket.close();
    await refused(422, "VALIDATION_FAILED", "POST", "/notifications/read", { token: ann.token, body: { seq: 1_000_000 } });
  });
});
