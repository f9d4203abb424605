import { describe as suite, expect, it } from "vitest";
import { describe, type Notice } from "$lib/notices/describe";

const auction = {
  auction: "a1",
  job: "j1",
  title: "Paint a <b>fence</b>",
  format: "reverse" as const,
  currency: "EUR",
};
const end_at = "2026-11-21T10:00:00.000Z";

suite("notifications in words", () => {
  it.each<[Notice, string, string]>([
    [
      {
        kind: "outbid",
        data: { ...auction, price: 95_000, leader: "Bidder 2", bid_count: 3, end_at, min_next: 94_000 },
      },
      "You were outbid",
      "The price is €950.00. €940.00 would take the lead back.",
    ],
    [
      { kind: "bid_received", data: { ...auction, format: "sealed", bid_count: 1 } },
      "A sealed bid came in",
      "It is the only one.",
    ],
    [
      { kind: "lost", data: { ...auction, outcome: "sold", reason: null, price: 90_000, winner: "Bidder 4" } },
      "Somebody else was chosen",
      "Bidder 4 at €900.00.",
    ],
  ])("tell what happened", (notice, head, detail) => {
    expect(describe(notice)).toMatchObject({ head, detail, subject: auction.title, href: "/jobs/j1" });
  });

  it("tell of a negotiation from either side", () => {
    const data = { ...auction, format: "proposal" as const, amount: 85_000, delivery_days: 12, excerpt: "Well?" };
    expect(describe({ kind: "counter_offer", data: { ...data, by: "client" } })).toMatchObject({
      head: "The client offers €850.00 in 12 days",
      quote: "Well?",
      href: "/jobs/j1",
    });
    const theirs = { ...data, by: "bidder" as const, bidder: "Bidder 1", user: "u2", name: "Bob", delivery_days: null };
    expect(describe({ kind: "counter_offer", data: theirs })).toMatchObject({ who: "Bob", head: "offers €850.00" });
  });

  it("lead to the message that they tell of", () => {
    const data = {
      room: "r1",
      room_kind: "dm" as const,
      job: null,
      title: null,
      message: 7,
      user: "u2",
      name: "Bob",
      excerpt: "Hi",
    };
    expect(describe({ kind: "mention", data })).toMatchObject({
      who: "Bob",
      head: "mentioned you",
      quote: "Hi",
      href: "/chat/r1?at=7",
    });
  });
});
