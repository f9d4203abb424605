import { RialtoError } from "@rialto/client";
import { describe, expect, it } from "vitest";
import type { AuctionState } from "../src/lib/auction";
import { formatSpan, mayRetract, quickAmounts, refusal } from "../src/pages/job/bidding";
import { bunched, scale, stepPath, ticks } from "../src/pages/job/chart";
import type { OwnBid } from "../src/pages/job/types";

const END = "2026-11-22T12:00:00.000Z";
const HOUR = 3_600_000;
const end = Date.parse(END);

const state = {
  phase: "open",
  format: "reverse",
  direction: "reverse",
  currency: "EUR",
  price: 10_000,
  min_next: 9_900,
  start_at: "2026-11-20T12:00:00.000Z",
  end_at: END,
  terms: {
    format: "reverse",
    direction: "reverse",
    currency: "EUR",
    start_amount: 20_000,
    minimum_amount: 9_750,
    increments: [{ from: 0, step: 100 }],
    soft_close: { window_s: 300, extension_s: 300, hard_end_at: null },
  },
} as unknown as AuctionState;

describe("bids", () => {
  it("offers the next steps, down to the minimum", () => {
    expect(quickAmounts(state)).toEqual([9_900, 9_800, 9_750]);
    expect(quickAmounts({ ...state, min_next: 9_750 })).toEqual([9_750]);
    expect(quickAmounts({ ...state, min_next: null })).toEqual([]);
  });

  it("says what to do about a refusal", () => {
    const error = (code: RialtoError["code"], details = {}, retryable = false) =>
      refusal(new RialtoError(code, "no", retryable, details), state);
    expect(error("BID_TOO_WEAK", { min_next: 9_800 })).toMatchObject({ instead: 9_800 });
    expect(error("BID_TOO_WEAK", { min_next: null }).instead).toBeUndefined();
    expect(error("BEYOND_START", { start_amount: 20_000 })).toMatchObject({ instead: 20_000 });
    expect(error("CONFIRM_REQUIRED")).toMatchObject({ confirm: true });
    expect(error("DISCONNECTED", {}, true)).toMatchObject({ again: true });
    expect(error("AUCTION_CLOSED").again).toBeUndefined();
  });

  it("lets bids be taken back as the rules do", () => {
    const bid = (age_ms: number, now: number): OwnBid => ({
      seq: 2,
      t: new Date(now - age_ms).toISOString(),
      kind: "exact",
      amount: 1,
      status: "active",
    });
    const early = end - 13 * HOUR;
    const late = end - 11 * HOUR;
    expect(mayRetract(bid(5 * HOUR, early), state, early)).toBe(true);
    expect(mayRetract(bid(5 * HOUR, late), state, late)).toBe(false);
    expect(mayRetract(bid(HOUR, late), state, late)).toBe(true);
    expect(mayRetract(bid(0, end - 300_000), state, end - 300_000)).toBe(false);
    expect(mayRetract({ ...bid(0, early), status: "suspended" }, state, early)).toBe(false);
  });

  it("writes spans short", () => {
    expect([20, 90, 300, 125, 7200].map((s) => formatSpan(s * 1000).replaceAll("\u00a0", " "))).toEqual([
      "20 s",
      "90 s",
      "5 min",
      "2 min 5 s",
      "2 h",
    ]);
  });
});

describe("the chart", () => {
  const x = scale([0, 10], [0, 100]);
  const y = scale([0, 10], [100, 0]);

  it("holds a price until the next, and breaks off where there is none", () => {
    const points = [
      { seq: 2, t: 0, price: 8 },
      { seq: 3, t: 4, price: 6 },
      { seq: 4, t: 6, price: null },
      { seq: 5, t: 8, price: 7 },
    ];
    expect(stepPath(points, 10, x, y)).toBe("M0.0 20.0H40.0V40.0H60.0M80.0 30.0H100.0");
  });

  it("marks round values", () => {
    expect(ticks(9_400, 10_600)).toEqual([9_500, 10_000, 10_500]);
    expect(ticks(5, 5)).toEqual([5]);
  });

  it("knows when time would show a cliff only", () => {
    const at = (t: number, seq: number) => ({ seq, t, price: 1 });
    expect(bunched([0, 1, 2, 3, 4].map(at), 1000)).toBe(true);
    expect(bunched([0, 250, 500, 750, 900].map(at), 1000)).toBe(false);
  });
});
