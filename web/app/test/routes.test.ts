import { expect, test } from "vitest";
import { match } from "../src/routes";

test.each([
  ["/", "market", {}],
  ["/jobs/new", "new-job", {}],
  ["/jobs/abc", "job", { id: "abc" }],
  ["/jobs/a%20b/", "job", { id: "a b" }],
  ["/chat", "chat", {}],
  ["/chat/r1", "chat", { room: "r1" }],
  ["/my/bids", "my-bids", {}],
  ["/nowhere", "missing", {}],
  ["/jobs/a/b", "missing", {}],
  ["/users/%E0%A4%A", "missing", {}],
])("%s leads to %s", (path, page, params) => {
  const found = match(path);
  expect(found.route.page).toBe(page);
  expect(found.params).toEqual(params);
});
