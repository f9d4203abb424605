import type { AuctionEvent } from "@rialto/client";
import type { AuctionState } from "$lib/auction";
import { formatMoney } from "$lib/money";
import { formatPrecise } from "$lib/time";
import { counted } from "$lib/words";
import { formatSpan } from "./bidding";

const OUTCOMES = {
  sold: "The auction is over.",
  reserve_not_met: "The auction is over. The reserve was not met.",
  no_bids: "The auction is over. Nobody has bid.",
  undecided: "The time is over. The client chooses among the proposals.",
} as const;

const FIELDS: Record<string, string> = { budget: "budget", description: "description", skills: "skills" };

/** An event other than a bid, in words; undefined for what goes without saying. */
export function noteOf(event: AuctionEvent, { currency, format }: AuctionState): string | undefined {
  const money = (amount: number | null) => (amount === null ? "" : ` at ${formatMoney(amount, currency)}`);
  switch (event.type) {
    case "bid":
    case "retracted":
      return undefined; // a retracted bid is struck out where it stands
    case "opened":
      if (event.phase === "envelopes")
        return event.bids.length === 1
          ? "The one sealed bid was opened."
          : `${event.bids.length} sealed bids were opened.`;
      return "The auction was opened.";
    case "counted":
      return `There ${event.bid_count === 1 ? "is" : "are"} ${counted(event.bid_count, format === "proposal" ? "proposal" : "sealed bid")} now.`;
    case "extended": {
      const by = formatSpan(Date.parse(event.end_at) - Date.parse(event.previous_end_at));
      return `Extended by ${by}: it ends on ${formatPrecise(event.end_at)}.`;
    }
    case "paused":
      return "Paused by an administrator.";
    case "resumed":
      return `Resumed: it ends on ${formatPrecise(event.end_at)}.`;
    case "suspended":
      return `The job was changed (${event.changes.map((name) => FIELDS[name] ?? name).join(", ")}). Bids wait for their bidders to confirm them.`;
    case "reconfirmed":
      return `${event.bidder} stands by the bids made before the change.`;
    case "closed":
      return OUTCOMES[event.outcome];
    case "awarded":
      return `Awarded to ${event.bidder}${money(event.amount)}.`;
    case "accepted":
      return `${event.bidder} has accepted.`;
    case "declined":
      if (event.reason === "expired") return `${event.bidder} didn't answer in time.`;
      return `${event.bidder} has declined${event.reason ? `: “${event.reason}”` : "."}`;
    case "reopened":
      return `Reopened: it ends on ${formatPrecise(event.end_at)}.`;
    case "cancelled":
      return `Cancelled by ${event.by === "admin" ? "an administrator" : "the client"}${event.reason ? `: “${event.reason}”` : "."}`;
  }
}
