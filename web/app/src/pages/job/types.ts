import type { Schemas } from "@rialto/client";
import type { AuctionState } from "$lib/auction";

export type OwnBid = Schemas["OwnBid"];
export type Offer = Schemas["Offer"];
export type Counter = Schemas["Counter"];
export type Mine = Schemas["OwnView"];
export type Proposal = Schemas["Proposal"];
export type Owned = Schemas["OwnerView"];

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
