import { describe, expect, test } from "vitest";
import { type AuctionState, foldAuction, inSoftClose, nextAmount, statusAt } from "../src/lib/auction";

const terms: AuctionState["terms"] = {
  format: "reverse",
  direction: "reverse",
  currency: "EUR",
  start_amount: 100_000,
  minimum_amount: 500,
  increments: [
    { from: 0, step: 100 },
    { from: 50_000, step: 1000 },
  ],
  confirm_jump_percent: null,
  show_count: true,
  start_at: "2026-11-21T10:00:00.000Z",
  end_at: "2026-11-21T12:00:00.000Z",
  soft_close: { window_s: 60, extension_s: 60, hard_end_at: null },
};
const T = "2026-11-21T11:00:00.000Z";
const open: AuctionState = {
  seq: 1,
  phase: "open",
  job: "job",
  format: "reverse",
  direction: "reverse",
  currency: "EUR",
  visibility: "public",
  terms,
  start_at: terms.start_at,
  end_at: terms.end_at,
  hard_end_at: null,
  paused_at: null,
  price: null,
  leader: null,
  bid_count: 0,
  min_next: 100_000,
  reserve_met: null,
  reserve_commitment: null,
  reserve: null,
  revision: 0,
  outcome: null,
  winner: null,
  award: null,
  envelopes: null,
};
const event = { t: T, hash: "00" };

test("the next amount follows the table of increments, down to the minimum", () => {
  expect(nextAmount(terms, null)).toBe(100_000);
  expect(nextAmount(terms, 60_000)).toBe(59_000);
  expect(nextAmount(terms, 49_999)).toBe(49_899);
  expect(nextAmount(terms, 550)).toBe(500);
  expect(nextAmount(terms, 500)).toBeNull();
  expect(nextAmount({ ...terms, direction: "forward" }, 60_000)).toBe(61_000);
});

test("a bid moves price, leader, count and the next amount", () => {
  const bid = foldAuction(open, {
    ...event,
    seq: 2,
    type: "bid",
    bidder: "Bidder 1",
    amount: 90_000,
    bidder_commitment: "00",
    price: 90_000,
    leader: "Bidder 1",
    end_at: terms.end_at,
    bid_count: 1,
    reserve_met: null,
  });
  expect(bid).toMatchObject({ seq: 2, price: 90_000, leader: "Bidder 1", bid_count: 1, min_next: 89_000 });
});

test("a pause keeps the auction from ending, a close ends it", () => {
  const paused = foldAuction(open, { ...event, seq: 2, type: "paused" });
  expect(statusAt(paused, Date.parse(terms.end_at) + 1)).toBe("paused");
  const resumed = foldAuction(paused, {
    ...event,
    seq: 3,
    type: "resumed",
    end_at: "2026-11-21T13:00:00.000Z",
    hard_end_at: null,
  });
  expect(statusAt(resumed, Date.parse(terms.end_at))).toBe("open");
  const closed = foldAuction(resumed, {
    ...event,
    seq: 4,
    type: "closed",
    outcome: "no_bids",
    winner: null,
    price: null,
    bid_count: 0,
    reserve_met: null,
    reserve_amount: null,
    reserve_salt: null,
  });
  expect(closed).toMatchObject({ phase: "closed", outcome: "no_bids", min_next: null });
});

describe("time", () => {
  test("says what no event has said yet", () => {
    expect(statusAt(open, Date.parse(terms.start_at) - 1)).toBe("scheduled");
    expect(statusAt(open, Date.parse(terms.start_at))).toBe("open");
    expect(statusAt(open, Date.parse(terms.end_at))).toBe("closed");
  });

  test("is the soft close's in the window before the end", () => {
    expect(inSoftClose(open, Date.parse(terms.end_at) - 60_001)).toBe(false);
    expect(inSoftClose(open, Date.parse(terms.end_at) - 60_000)).toBe(true);
    expect(inSoftClose(open, Date.parse(terms.end_at))).toBe(false);
  });
});
