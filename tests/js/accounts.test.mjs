// Accounts: register, log in, refresh, log out; what dies with a session, on both instances.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { connect, disconnected, TRANSPORTS } from "./client.mjs";
import { A, B, call, eventually, login, newEmail, newKey, ok, PASSWORD, person, posted, refused } from "./market.mjs";

describe("registering", () => {
  it("answers the user and its tokens", async () => {
    const email = newEmail();
    const { status, body } = await call("POST", "/auth/register", {
      body: { email, password: PASSWORD, name: "Ann", role: "client" },
    });
    assert.equal(status, 201);
    assert.equal(body.token_type.toLowerCase(), "bearer");
    assert.ok(body.expires_in > 0 && body.access_token && body.refresh_token);
    assert.deepEqual([body.user.name, body.user.role, typeof body.user.id], ["Ann", "client", "string"]);
    assert.ok(!JSON.stringify(body).includes(PASSWORD));
    await refused(409, "EMAIL_TAKEN", "POST", "/auth/register", {
      at: B,
      body: { email: email.toUpperCase(), password: PASSWORD, name: "Ann", role: "client" },
    });
  });

  it("names every bad field", async () => {
    const problem = await refused(422, "VALIDATION_FAILED", "POST", "/auth/register", {
      body: { email: "nobody", password: "short", name: "", role: "king" },
    });
    const fields = problem.errors.map((error) => error.loc.at(-1));
    for (const field of ["email", "password", "name", "role"]) assert.ok(fields.includes(field), field);
    await refused(400, "MALFORMED_JSON", "POST", "/auth/register", { body: '{"email":' });
  });
});

describe("logging in", () => {
  it("works on every instance", async () => {
    const ann = await person("client");
    const again = await login(ann, B);
    assert.equal(again.id, ann.id);
    assert.equal((await ok("GET", "/users/me", { at: A, token: again.token })).id, ann.id);
  });

  it("does not tell which part was wrong", async () => {
    const ann = await person("client");
    const wrong = await refused(401, "UNAUTHENTICATED", "POST", "/auth/login", { body: { email: ann.email, password: "wrong password" } });
    const unknown = await refused(401, "UNAUTHENTICATED", "POST", "/auth/login", { body: { email: newEmail(), password: PASSWORD } });
    assert.equal(wrong.detail, unknown.detail);
  });

  it("is needed for one's account", async () => {
    await refused(401, "UNAUTHENTICATED", "GET", "/users/me");
    await refused(401, "UNAUTHENTICATED", "GET", "/users/me", { token: "bad" });
  });
});

describe("profiles", () => {
  it("can be changed, and are public without the address", async () => {
    const ann = await person("freelancer");
    const changed = await ok("PATCH", "/users/me", { token: ann.token, body: { name: "Ann B." } });
    assert.equal(changed.name, "Ann B.");
    const shown = await ok("GET", `/users/${ann.id}`, { at: B });
    assert.deepEqual([shown.id, shown.name, shown.role], [ann.id, "Ann B.", "freelancer"]);
    assert.ok(!JSON.stringify(shown).includes(ann.email));
    await refused(404, "NOT_FOUND", "GET", "/users/nobody");
  });
});

describe("refreshing", () => {
  it("rotates, and the reuse of an old token ends the whole family", async () => {
    const ann = await person("client");
    const fresh = await ok("POST", "/auth/refresh", { body: { refresh_token: ann.refresh } });
    assert.notEqual(fresh.refresh_token, ann.refresh);
    assert.equal((await ok("GET", "/users/me", { at: B, token: fresh.access_token })).id, ann.id);
    await refused(401, "UNAUTHENTICATED", "POST", "/auth/refresh", { at: B, body: { refresh_token: ann.refresh } });
    await refused(401, "UNAUTHENTICATED", "POST", "/auth/refresh", { body: { refresh_token: fresh.refresh_token } });
    await eventually(async () => (await call("GET", "/users/me", { at: B, token: fresh.access_token })).status === 401);
  });
});

describe("logging out", () => {
  for (const transport of Object.keys(TRANSPORTS)) {
    it(`ends tokens at once and closes sockets on both instances, over ${transport}`, async () => {
      const owner = await person("client");
      const { stream } = await posted(owner);
      const ann = await person("freelancer");
      const other = await login(ann);
      const sockets = await Promise.all([A, B].map((url) => connect(url, "/bidding", { transport, token: ann.token })));
      const staying = await connect(B, "/bidding", { transport, token: other.token });
      const closed = sockets.map((socket) => new Promise((resolve) => socket.io.engine.once("close", resolve)));
      const gone = sockets.map(disconnected);
      const began = Date.now();
      assert.equal((await call("POST", "/auth/logout", { token: ann.token })).status, 204);
      await refused(401, "UNAUTHENTICATED", "GET", "/users/me", { token: ann.token });
      await Promise.all([...gone, ...closed]);
      assert.ok(Date.now() - began < 5_000, "sockets must be closed within a second or so");
      await refused(401, "UNAUTHENTICATED", "GET", "/users/me", { at: B, token: ann.token });
      await refused(401, "UNAUTHENTICATED", "POST", "/auth/refresh", { body: { refresh_token: ann.refresh } });
      for (const url of [A, B])
        await assert.rejects(connect(url, "/bidding", { transport, token: ann.token }), { message: "UNAUTHENTICATED" });
      const answer = await staying.timeout(10_000).emitWithAck("subscribe", { stream });
      assert.ok(answer.ok && staying.connected);
      staying.close();
    });
  }
});

describe("idempotency keys", () => {
  it("give the same answer to the same request, on any instance", async () => {
    const owner = await person("client");
    const body = { name: "Once" };
    const key = newKey();
    const first = await call("PATCH", "/users/me", { token: owner.token, body, key });
    const again = await call("PATCH", "/users/me", { at: B, token: owner.token, body, key });
    assert.deepEqual([again.status, again.body], [first.status, first.body]);
    await refused(409, "IDEMPOTENCY_MISMATCH", "PATCH", "/users/me", { token: owner.token, body: { name: "Twice" }, key });
  });
});
