// What the test programs share: clients of people with accounts, and waiting for what happens.

import { after } from "node:test";

import { A, newKey, ok, person, posted } from "../../../../tests/js/market.mjs";
import { Client } from "../../dist/index.js";
import { Road } from "./road.mjs";

const clients = new Set();

// What a failed test leaves open would keep the program, and whoever waits for it, from ending.
after(() => {
  for (const client of clients) client.close();
  Road.endAll();
});

/** A client, closed with the program; `who` is a person of market.mjs. */
export function clientOf(who, options = {}) {
  const tokens = who && { access_token: who.token, refresh_token: who.refresh, expires_at: Date.now() + 600_000 };
  const client = new Client({ url: A, tokens, ...options });
  clients.add(client);
  return client;
}

/** Reads from a subscription until `count` events have come. */
export async function read(subscription, count) {
  const events = [];
  while (events.length < count) {
    const { done, value } = await subscription.next();
    if (done) throw new Error(`ended after ${events.length} events`);
    events.push(value);
  }
  return events;
}

export const seqs = (events) => events.map((event) => event.seq);
export const range = (first, last) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

/** A market with an open auction: `bid()` appends one event through REST. */
export async function market() {
  const [owner, ann, bob] = await Promise.all([person("client"), person("freelancer"), person("freelancer")]);
  const { auction, stream, job } = await posted(owner);
  let amount = 100_000;
  let turn = 0;
  const lower = () => {
    amount -= 500;
    return amount;
  };
  const bid = async (at = A) => {
    const who = turn++ % 2 ? ann : bob;
    await ok("POST", `/auctions/${auction}/bids`, {
      at,
      token: who.token,
      body: { amount: lower() },
      key: newKey(),
    });
  };
  return { owner, ann, bob, auction, stream, job, bid, lower };
}

/** A job room with the owner and a bidder as members. */
export async function room() {
  const made = await market();
  await made.bid();
  await made.bid();
  const { id } = await ok("POST", "/rooms", {
    token: made.owner.token,
    body: { kind: "dm", user: made.ann.id },
    key: newKey(),
  });
  return { ...made, room: id, roomStream: `room:${id}` };
}
