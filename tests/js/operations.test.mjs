// Health, documents, headers, and the answers to requests that make no sense.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { A, B, call, ok, refused } from "./market.mjs";

describe("operations", () => {
  it("tell their health", async () => {
    for (const at of [A, B]) {
      assert.equal((await call("GET", "/health/live", { at })).status, 200);
      assert.equal((await call("GET", "/health/ready", { at })).status, 200);
      const health = await ok("GET", "/api/health", { at });
      assert.ok(health.status && health.uptime_s >= 0 && health.timestamp);
      assert.ok(health.checks.database && health.checks.redis);
    }
  });

  it("describe themselves", async () => {
    const openapi = await ok("GET", "/api/openapi.json");
    assert.match(openapi.openapi, /^3\.1/);
    for (const path of ["/auth/register", "/users/me", "/jobs", "/jobs/{id}", "/auctions/{id}/bids", "/streams/{stream}/events"])
      assert.ok(openapi.paths[`/api/v1${path}`], path);
    const asyncapi = await ok("GET", "/api/asyncapi.json");
    assert.match(asyncapi.asyncapi, /^3\./);
    assert.ok(asyncapi.channels.bidding && asyncapi.operations["bidding.bid"]);
    assert.equal((await call("GET", "/api/docs")).status, 200);
  });

  it("name every request", async () => {
    const { headers } = await call("GET", "/jobs", { headers: { "X-Request-Id": "my-own-request-id" } });
    assert.equal(headers.get("x-request-id"), "my-own-request-id");
    assert.ok((await call("GET", "/jobs")).headers.get("x-request-id"));
  });

  it("compress when asked", async () => {
    const asked = await call("GET", "/api/openapi.json", { headers: { "Accept-Encoding": "gzip" } });
    assert.equal(asked.headers.get("content-encoding"), "gzip");
    const plain = await call("GET", "/api/openapi.json", { headers: { "Accept-Encoding": "gzip", "X-No-Compression": "1" } });
    assert.equal(plain.headers.get("content-encoding"), null);
  });

  it("refuse what makes no sense", async () => {
    await refused(404, "NOT_FOUND", "GET", "/nothing");
    await refused(405, "METHOD_NOT_ALLOWED", "DELETE", "/jobs");
    await refused(413, "TOO_LARGE", "POST", "/auth/login", { body: JSON.stringify({ email: "a".repeat(1_100_000) }) });
    await refused(400, "MALFORMED_JSON", "POST", "/auth/login", { body: "[".repeat(5000) });
  });
});
