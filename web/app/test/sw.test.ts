import { describe, expect, test } from "vitest";
import { cacheFor, isOthers, isPage, isRemembered, seenBy } from "../src/sw/rules";

const encoded = (claims: unknown) => btoa(JSON.stringify(claims)).replaceAll("+", "-").replaceAll("/", "_");
const bearer = (claims: unknown) => `Bearer ${encoded({ alg: "HS256" })}.${encoded(claims)}.signature`;

describe("whose an answer is", () => {
  test("is told by the token's subject, and is nobody's without a token", () => {
    expect(cacheFor(bearer({ sub: "ann", name: "Ann ???>>>" }))).toBe(seenBy("ann"));
    expect(cacheFor(null)).toBe(seenBy(undefined));
    expect(seenBy("ann")).not.toBe(seenBy(undefined));
  });

  test("nothing is kept when it can't be told", () => {
    for (const authorization of ["", "Bearer", "Bearer x", "Bearer a.!.c", bearer({}), bearer({ sub: 7 }), bearer([])])
      expect(cacheFor(authorization)).toBeUndefined();
  });

  test("what is another user's is dropped, what is nobody's stays", () => {
    expect(isOthers(seenBy("ann"), "bob")).toBe(true);
    expect(isOthers(seenBy("ann"), undefined)).toBe(true);
    expect(isOthers(seenBy("ann"), "ann")).toBe(false);
    expect(isOthers(seenBy(undefined), "ann")).toBe(false);
    expect(isOthers("shell 1", undefined)).toBe(false);
  });
});

test("what is remembered are the market's and one's own lists, not streams, logs or operations", () => {
  for (const path of ["jobs", "jobs/1", "auctions/1", "users/1", "rooms", "rooms/1/messages", "notifications"])
    expect(isRemembered(`/api/v1/${path}`), path).toBe(true);
  for (const path of ["streams/user:1", "auctions/1/log", "operations", "auth/refresh", "users/me/sessions"])
    expect(isRemembered(`/api/v1/${path}`), path).toBe(false);
});

test("every address is a page but the interfaces'", () => {
  expect(["/", "/jobs/1", "/adminton", "/nowhere"].every(isPage)).toBe(true);
  expect(["/api/docs", "/socket.io/", "/admin", "/health/live", "/metrics"].some(isPage)).toBe(false);
});
