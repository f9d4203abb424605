import type { AuctionState } from "$lib/auction";

/** A bid of the reader's own; in hidden formats `seq` counts the reader's submissions. */
export interface OwnBid {
  seq: number;
  t: string;
  kind: "exact" | "auto";
  amount: number;
  status: "active" | "suspended" | "retracted" | "replaced";
}

export interface Offer {
  seq: number;
  t: string;
  amount: number;
  delivery_days: number | null;
  cover_letter: string | null;
}

export interface Counter {
  by: "client" | "bidder";
  t: string;
  amount: number;
  delivery_days: number | null;
  message: string | null;
}

/** What a bidder sees of itself. */
export interface Mine {
  /** Null while it would tell how many bid. */
  pseudonym: string | null;
  bids: OwnBid[];
  limit: number | null;
  rank: number | null;
  leading: boolean | null;
  suspended: boolean;
  offer: Offer | null;
  counter: Counter | null;
  award: { amount: number | null; accept_by: string; accepted: boolean } | null;
}

export type Proposal = Offer & {
  bidder: string;
  user: string | null;
  suspended: boolean;
  counter: Counter | null;
};

/** What the client sees beyond the public. */
export interface Owned {
  bidders: Record<string, { id: string; name: string | null }>;
  reserve_amount: number | null;
  bid_count: number | null;
  offers: Proposal[] | null;
}

/** A stream's state with what is only the reader's. */
export type Shown = AuctionState & { mine?: Mine; owner?: Owned };

/** A bid on its way. */
export interface Attempt {
  /** The same over all tries, so that it counts once. */
  key: string;
  amount: number;
  kind: "exact" | "auto";
  /** `unsure`: there was no answer, so it may have arrived. */
  state: "sending" | "unsure";
}
