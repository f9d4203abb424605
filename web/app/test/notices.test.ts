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

  it("tell the client how its auction went", () => {
    const ended = { ...auction, price: 90_000, bid_count: 2, winner: null, user: null, name: null };
    const sold = { ...ended, outcome: "sold" as const, winner: "Bidder 2", user: "u2", name: "Bob" };
    expect(describe({ kind: "auction_closed", data: sold })).toMatchObject({
      who: "Bob",
      head: "wins your auction at €900.00",
      href: "/jobs/j1",
    });
    const heads = (["undecided", "reserve_not_met", "no_bids"] as const).map(
      (outcome) => describe({ kind: "auction_closed", data: { ...ended, outcome } }).head,
    );
    expect(heads).toEqual([
      "Your auction is over: choose",
      "Your auction ended without a deal",
      "Your auction ended without a bid",
    ]);
    const who = { ...auction, bidder: "Bidder 2", user: "u2", name: null };
    expect(describe({ kind: "award_accepted", data: { ...who, amount: 90_000 } })).toMatchObject({
      who: "Bidder 2",
      head: "accepts the job at €900.00",
    });
    const declined = describe({ kind: "award_declined", data: { ...who, reason: "Too far" } });
    expect(declined).toMatchObject({ head: "declines the job", quote: "Too far" });
    const lapsed = describe({ kind: "award_declined", data: { ...who, reason: "expired" } });
    expect(lapsed.head).toBe("didn't accept in time");
    expect(lapsed.quote).toBeUndefined();
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
