/** The words for what the server names by codes; the same on every page. */
import type { Schemas } from "@rialto/client";

const FORMATS: Record<string, string> = {
  reverse: "Reverse auction",
  english: "English auction",
  sealed: "Sealed bids",
  proposal: "Proposals",
};

const JOB_STATUSES: Record<string, string> = {
  draft: "Draft",
  open: "Open",
  closed: "Closed",
  awarded: "Awarded",
  in_progress: "In progress",
  completed: "Completed",
  cancelled: "Cancelled",
};

const AUCTION_STATUSES: Record<string, string> = {
  draft: "Draft",
  scheduled: "Not open yet",
  open: "Open",
  paused: "Paused",
  closed: "Closed",
  awarded: "Awarded",
  accepted: "Accepted",
  cancelled: "Cancelled",
};

const ROLES: Record<string, string> = { client: "Client", freelancer: "Freelancer", both: "Client and freelancer" };

export const formatWord = (format: string): string => FORMATS[format] ?? format;
export const jobStatusWord = (status: string): string => JOB_STATUSES[status] ?? status;
export const auctionStatusWord = (status: string): string => AUCTION_STATUSES[status] ?? status;
export const roleWord = (role: string): string => ROLES[role] ?? role;

/** `3 bids`, `1 bid`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${new Intl.NumberFormat().format(count)} ${count === 1 ? one : many}`;

/** Where the work is done; undefined if the job says nothing of it. */
export function placeWord(location: Schemas["Location"] | null): string | undefined {
  if (location === null) return undefined;
  if (location.address) return location.address;
  return location.remote ? "Remote" : undefined;
}

/** What the price of an auction is called. */
export function priceWord(auction: { format: string; direction: string; price: number | null }): string {
  if (auction.price !== null) {
    if (auction.format === "sealed" || auction.format === "proposal") return "Best offer";
    return auction.direction === "forward" ? "Highest bid" : "Lowest bid";
  }
  return auction.direction === "forward" ? "From" : "Up to";
}
