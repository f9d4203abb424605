import { expect, test } from "vitest";
import { formatLeft, formatRelative, speakLeft } from "../src/lib/time";

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;

test.each([
  [0, "0:00"],
  [-5, "0:00"],
  [1, "0:01"],
  [61 * S, "1:01"],
  [59 * M + 59 * S + 1, "1 h 00 m"],
  [5 * H + 4 * M, "5 h 04 m"],
  [3 * D + 4 * H, "3 d 4 h"],
])("%d ms are left as %s", (left, text) => {
  expect(formatLeft(left)).toBe(text);
});

test("what is left is spoken in whole units", () => {
  expect(speakLeft(90 * S)).toBe("1 minute left");
  expect(speakLeft(3 * H)).toBe("3 hours left");
  expect(speakLeft(S)).toBe("less than a minute left");
  expect(speakLeft(0)).toBe("ended");
});

test("times are told relative to now while they are near", () => {
  const now = Date.parse("2026-11-21T10:00:00.000Z");
  expect(formatRelative(now - 10 * S, now)).toBe("now");
  expect(formatRelative(now - 3 * M, now)).toBe("3 minutes ago");
  expect(formatRelative("2026-11-23T10:00:00.000Z", now)).toBe("in 2 days");
  expect(formatRelative(now - 90 * D, now)).toMatch(/2026/);
});
