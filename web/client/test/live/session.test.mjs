// Logins: renewed before they end, one renewal at a time, and ended. Access tokens last ten seconds here.

import assert from "node:assert/strict";
import { it } from "node:test";

import { eventually, newEmail, newKey, ok, PASSWORD, person } from "../../../../tests/js/market.mjs";
import { clientOf, market, read, room } from "./people.mjs";

const LIFE_MS = 10_000;

it("registers, logs in, and out everywhere", async () => {
  const kept = [];
  const over = [];
  const client = clientOf(undefined, {
    onTokens: (tokens) => kept.push(tokens),
    onSessionOver: (error) => over.push(error),
  });
  const email = newEmail();
  const user = await client.register({ email, password: PASSWORD, name: "Ann", role: "freelancer" });
  assert.equal((await client.rest("GET", "/users/me")).id, user.id);
  const restored = clientOf(undefined, { tokens: kept.at(-1), onSessionOver: (error) => over.push(error) });
  const inbox = restored.subscribe(`user:${user.id}`);
  const reading = inbox.next();
  await eventually(() => inbox.seq !== undefined);
  await client.logout();
  assert.deepEqual([client.signedIn, kept.at(-1)], [false, undefined]);
  // The other one learns it from the server.
  await assert.rejects(reading, { code: "UNAUTHENTICATED" });
  assert.deepEqual(
    over.map((error) => error.code),
    ["UNAUTHENTICATED"],
  );
  assert.equal(restored.signedIn, false);
  assert.equal((await client.login({ email, password: PASSWORD })).id, user.id);
  await assert.rejects(client.login({ email, password: "wrong password" }), { code: "UNAUTHENTICATED" });
  await assert.rejects(client.register({ email, password: PASSWORD, name: "Ann", role: "freelancer" }), {
    code: "EMAIL_TAKEN",
  });
});

it("becomes somebody on a connection that was nobody's", async () => {
  const { auction, stream, bid, lower } = await market();
  const client = clientOf(undefined);
  const subscription = client.subscribe(stream, { after: 0 });
  await read(subscription, 1);
  await client.register({ email: newEmail(), password: PASSWORD, name: "Ann", role: "freelancer" });
  const { seq } = await client.bid({ auction, amount: lower() });
  assert.equal((await read(subscription, 1))[0].seq, seq);
  await client.logout();
  await bid();
  assert.equal((await read(subscription, 1))[0].seq, 3);
});

for (const transports of [["websocket"], ["polling"], ["sse"], ["longpoll"]])
  it(`outlives its tokens over ${transports}`, async () => {
    const { owner, room: id, roomStream } = await room();
    const [renewals, troubles] = [[], []];
    const tokens = { access_token: owner.token, refresh_token: owner.refresh, expires_at: Date.now() + LIFE_MS };
    const client = clientOf(undefined, { transports, tokens, onTokens: (now) => renewals.push(now) });
    const { seq } = await client.rest("GET", `/streams/${roomStream}`);
    const subscription = client.subscribe(roomStream, { after: seq, onTrouble: (error) => troubles.push(error) });
    const reading = read(subscription, 1);
    await eventually(() => renewals.length >= 4, 60_000);
    assert.equal(new Set(renewals.map((now) => now.refresh_token)).size, renewals.length);
    await client.send({ room: id, text: "Still here" });
    assert.equal((await reading)[0].text, "Still here");
    // A live socket is told of each new token, and goes on.
    if (["websocket", "polling"].includes(transports[0])) assert.deepEqual(troubles, []);
  });

it("renews once, however many find out at a time that it must", async () => {
  const { token, refresh } = await person("client");
  const renewals = [];
  const tokens = { access_token: token, refresh_token: refresh, expires_at: Date.now() - 1 };
  const client = clientOf(undefined, { tokens, onTokens: (now) => renewals.push(now) });
  const all = await Promise.all(Array.from({ length: 10 }, () => client.rest("GET", "/users/me")));
  assert.deepEqual([all.length, renewals.length], [10, 1]);
});

it("renews a token that the server does not take, whatever the local clock says", async () => {
  const { refresh, id } = await person("client");
  for (const transports of [["websocket"], ["longpoll"]]) {
    const renewals = [];
    const tokens = {
      access_token: "bad",
      refresh_token: renewed.get(refresh) ?? refresh,
      expires_at: Date.now() + 600_000,
    };
    const client = clientOf(undefined, { tokens, transports, onTokens: (now) => renewals.push(now) });
    const inbox = client.subscribe(`user:${id}`);
    inbox.next().catch(() => {});
    await eventually(() => inbox.seq !== undefined);
    assert.equal(renewals.length, 1);
    renewed.set(refresh, renewals[0].refresh_token);
    client.close();
  }
});

const renewed = new Map();

it("says when the login is over", async () => {
  const { token, refresh } = await person("client");
  await ok("POST", "/auth/logout", { token, key: newKey() });
  const over = [];
  const tokens = { access_token: token, refresh_token: refresh, expires_at: Date.now() + LIFE_MS };
  const client = clientOf(undefined, { tokens, onSessionOver: (error) => over.push(error.code) });
  await assert.rejects(client.rest("GET", "/users/me"), { code: "UNAUTHENTICATED" });
  assert.deepEqual(over, ["UNAUTHENTICATED"]);
});
