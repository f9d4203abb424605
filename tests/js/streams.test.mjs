// Streams over plain HTTP on both instances: state, pages, long polls, Server-Sent Events; and subscriptions' fine print.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { command, connect } from "./client.mjs";
import { A, B, history, newKey, ok, person, posted, refused } from "./market.mjs";

let owner, ann, bob;
let amount = 100_000;

before(async () => {
  [owner, ann, bob] = await Promise.all([person("client"), person("freelancer"), person("freelancer")]);
});

/** One more event, placed through A. */
async function bid(auction) {
  const who = (amount -= 500) % 1000 ? ann : bob;
  await ok("POST", `/auctions/${auction}/bids`, { token: who.token, body: { amount }, key: newKey() });
}

/** A market with an auction of `bids` bids. */
async function auctionWith(bids) {
  amount = 100_000;
  const made = await posted(owner);
  for (let n = 0; n < bids; n++) await bid(made.auction);
  return made;
}

/** Reads an event source until `count` events have come; returns them as `{id, data}`. */
async function source(at, path, count, { headers = {}, opened } = {}) {
  const stop = new AbortController();
  const response = await fetch(`${at}/api/v1${path}`, { headers: { Accept: "text/event-stream", ...headers }, signal: stop.signal });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  opened?.();
  const events = [];
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(
        block.split("\n").filter((line) => line && !line.startsWith(":")).map((line) => line.split(/: ?(.*)/s, 2)),
      );
      if (fields.data) events.push({ id: fields.id, data: JSON.parse(fields.data) });
    }
    if (events.length >= count) break;
  }
  stop.abort();
  return events;
}

describe("state and pages", () => {
  it("are the same on both instances and by socket", async () => {
    const { stream } = await auctionWith(4);
    const states = await Promise.all([A, B].map((at) => ok("GET", `/streams/${stream}`, { at })));
    assert.deepEqual(states[0], states[1]);
    assert.equal(states[0].seq, 5);
    const socket = await connect(B, "/bidding");
    const { seq, state } = await command(socket, "subscribe", { stream });
    socket.close();
    assert.deepEqual({ stream, seq, state }, states[0]);
    assert.deepEqual(await history(stream, { at: A }), await history(stream, { at: B }));
    const page = await ok("GET", `/streams/${stream}/events?after=1&limit=2`, { at: B });
    assert.deepEqual([page.stream, page.events.map((event) => event.seq), page.seq, page.more], [stream, [2, 3], 3, true]);
    const end = await ok("GET", `/streams/${stream}/events?after=5`);
    assert.deepEqual([end.events, end.seq, end.more], [[], 5, false]);
  });

  it("refuse what cannot be", async () => {
    const { stream } = await auctionWith(0);
    await refused(404, "NOT_FOUND", "GET", "/streams/auction:nothing/events");
    await refused(404, "NOT_FOUND", "GET", "/streams/nothing:1");
    await refused(422, "VALIDATION_FAILED", "GET", `/streams/${stream}/events?after=-1`);
    await refused(422, "VALIDATION_FAILED", "GET", `/streams/${stream}/events?wait=31`);
    await refused(401, "UNAUTHENTICATED", "GET", `/streams/${stream}`, { token: "bad" });
  });
});

describe("long polls", () => {
  it("return with the first event, from the other instance too", async () => {
    const { auction, stream } = await auctionWith(1);
    const polls = [A, B].map((at) => ok("GET", `/streams/${stream}/events?after=2&wait=20`, { at }));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await bid(auction);
    for (const page of await Promise.all(polls)) assert.deepEqual(page.events.map((event) => event.seq), [3]);
  });

  it("return empty-handed in the end", async () => {
    const { stream } = await auctionWith(1);
    const page = await ok("GET", `/streams/${stream}/events?after=2&wait=0.3`);
    assert.deepEqual([page.events, page.seq, page.more], [[], 2, false]);
  });
});

describe("Server-Sent Events", () => {
  it("go from the past into the present, on both instances", async () => {
    const { auction, stream } = await auctionWith(2);
    let began = 0;
    const opened = new Promise((resolve) => {
      globalThis.opened = () => ++began === 2 && resolve();
    });
    const reading = [A, B].map((at) => source(at, `/streams/${stream}/events`, 5, { opened: globalThis.opened }));
    await opened;
    await bid(auction);
    await bid(auction);
    const whole = await history(stream);
    for (const events of await Promise.all(reading)) {
      assert.deepEqual(events.map((event) => event.data), whole);
      assert.deepEqual(events.map((event) => event.id), ["1", "2", "3", "4", "5"]);
    }
  });

  it("resume after Last-Event-ID", async () => {
    const { stream } = await auctionWith(3);
    const events = await source(B, `/streams/${stream}/events?after=0`, 2, { headers: { "Last-Event-ID": "2" } });
    assert.deepEqual(events.map((event) => event.id), ["3", "4"]);
  });

  it("refuse with a problem", async () => {
    await refused(404, "NOT_FOUND", "GET", "/streams/auction:nothing/events", { headers: { Accept: "text/event-stream" } });
  });

  it("end with the login", async () => {
    const { stream } = await auctionWith(1);
    const leaver = await person("freelancer");
    const headers = { Accept: "text/event-stream", Authorization: `Bearer ${leaver.token}` };
    const responses = await Promise.all([A, B].map((at) => fetch(`${at}/api/v1/streams/${stream}/events`, { headers })));
    await ok("POST", "/auth/logout", { token: leaver.token });
    await Promise.all(responses.map((response) => response.text()));
  });
});

describe("namespaces", () => {
  it("refuse who has no business there", async () => {
    for (const url of [A, B]) {
      await assert.rejects(connect(url, "/bidding", { token: "bad" }), { message: "UNAUTHENTICATED" });
      await assert.rejects(connect(url, "/nowhere"), { message: "Invalid namespace" });
    }
  });

  it("answer a subscription too many", async () => {
    const { stream } = await auctionWith(0);
    const socket = await connect(A, "/bidding", { transport: "websocket" });
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, n) => command(socket, "subscribe", { stream: n % 2 ? stream : `auction:none${n}` })),
    );
    assert.ok(answers.every((answer, n) => (n % 2 ? answer.ok : answer.error.code === "NOT_FOUND")));
    socket.close();
  });
});
