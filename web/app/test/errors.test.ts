import { RialtoError } from "@rialto/client";
import { expect, test } from "vitest";
import { errorText, fieldErrors, isMissing, mayHelpToRetry } from "../src/lib/errors";

test("codes become words, and what the server says well is kept", () => {
  expect(errorText(RialtoError.disconnected("ECONNREFUSED"))).toBe("Rialto can't be reached right now.");
  expect(errorText(new RialtoError("RATE_LIMITED", "", true, { retry_after_ms: 2100 }))).toContain("in 3 seconds");
  expect(errorText(new RialtoError("BID_TOO_WEAK", "the bid does not beat the price by a step", false))).toBe(
    "The bid does not beat the price by a step.",
  );
  expect(errorText(new TypeError("x is undefined"))).toBe("Something went wrong.");
});

test("what is wrong is told by field", () => {
  const errors = [
    { loc: ["body", "auction", "end_at"], msg: "must be in the future" },
    { loc: ["body", "auction", "end_at"], msg: "another" },
    { loc: ["skills", 0], msg: "Too long" },
  ];
  expect(fieldErrors(new RialtoError("VALIDATION_FAILED", "", false, { errors }))).toEqual({
    "auction.end_at": "Must be in the future.",
    "skills.0": "Too long.",
  });
  expect(fieldErrors(new Error())).toEqual({});
});

test("some failures are worth another try", () => {
  expect(mayHelpToRetry(RialtoError.disconnected(""))).toBe(true);
  expect(mayHelpToRetry(new RialtoError("NOT_FOUND", "", false))).toBe(false);
  expect(isMissing(new RialtoError("AUCTION_NOT_FOUND", "", false))).toBe(true);
});
