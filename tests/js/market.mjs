// REST calls and the people and auctions that the contract's test programs need. Two instances: A and B.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

export const [A, B] = JSON.parse(process.env.CONTRACT_URLS);

/** One REST call: `{status, headers, body}`, the body decoded if it is JSON. */
export async function call(method, path, { at = A, token, body, key, headers = {} } = {}) {
  const response = await fetch(path.startsWith("/api") || path.startsWith("/health") ? at + path : `${at}/api/v1${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
      ...(key ? { "Idempotency-Key": key } : {}),
      ...headers,
    },
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const json = /^application\/(problem\+)?json(;|$)/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
}

/** The body of a call that must succeed. */
export async function ok(method, path, options) {
  const { status, body } = await call(method, path, options);
  assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(body)}`);
  return body;
}

/** Asserts that a call is refused with this status and code, as a proper problem; returns the problem. */
export async function refused(status, code, method, path, options) {
  const answer = await call(method, path, options);
  assert.deepEqual([answer.status, answer.body.code], [status, code], `${method} ${path}: ${JSON.stringify(answer.body)}`);
  assert.match(answer.headers.get("content-type"), /^application\/problem\+json/);
  const { type, title, detail, retryable, request_id } = answer.body;
  assert.equal(answer.body.status, status);
  assert.ok([type, title, detail].every((text) => typeof text === "string"), JSON.stringify(answer.body));
  assert.equal(typeof retryable, "boolean");
  assert.equal(request_id, answer.headers.get("x-request-id"));
  return answer.body;
}

export const newKey = () => randomUUID();
export const newEmail = () => `${randomUUID()}@example.com`;
export const PASSWORD = "correct horse battery";

/** A new account, logged in: `{user, id, token, refresh, email}`. */
export async function person(role, name = `A ${role}`) {
  const email = newEmail();
  const answer = await ok("POST", "/auth/register", { body: { email, password: PASSWORD, name, role } });
  return { user: answer.user, id: answer.user.id, token: answer.access_token, refresh: answer.refresh_token, email };
}

/** One more login of the same account. */
export async function login({ email }, at = A) {
  const answer = await ok("POST", "/auth/login", { at, body: { email, password: PASSWORD } });
  return { user: answer.user, id: answer.user.id, token: answer.access_token, refresh: answer.refresh_token, email };
}

export const inSeconds = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();

/** The body of a job with an auction; `auction` and `job` override fields. */
export function jobBody({ auction, ...job } = {}) {
  return {
    title: "Translate a cookbook",
    description: "Two hundred pages, from Portuguese, with a glossary.",
    category: "translation",
    skills: ["portuguese", "cooking"],
    budget: { min: 10_000, max: 100_000, currency: "EUR" },
    location: { remote: true },
    visibility: "public",
    ...(auction === null
      ? {}
      : { auction: { format: "reverse", start_amount: 100_000, end_at: inSeconds(86_400), increments: [{ from: 0, step: 100 }], ...auction } }),
    ...job,
  };
}

/** A posted job with an open auction: `{job, auction, stream}`. */
export async function posted(owner, overrides) {
  const job = await ok("POST", "/jobs", { token: owner.token, body: jobBody(overrides), key: newKey() });
  return { job, auction: job.auction.id, stream: `auction:${job.auction.id}` };
}

/** All events of a stream by REST, page by page. */
export async function history(stream, { at = A, token } = {}) {
  const events = [];
  for (;;) {
    const after = events.at(-1)?.seq ?? 0;
    const page = await ok("GET", `/streams/${stream}/events?after=${after}`, { at, token });
    events.push(...page.events);
    if (!page.more) return events;
  }
}

/** Polls until `look()` is truthy; returns it. */
export async function eventually(look, patience_ms = 15_000) {
  const end = Date.now() + patience_ms;
  for (;;) {
    const answer = await look();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`in vain: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
