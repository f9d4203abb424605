import type { AuctionEvent, Schemas } from "@rialto/client";

type Terms = Schemas["AuctionTerms"];

type View = Schemas["AuctionView"];

export type AuctionStatus = View["status"];

/** The state of an `auction:` stream, the same for everybody. Its `phase` lacks what the time adds: see `statusAt`. */
export type AuctionState = Omit<View, "id" | "status" | "phase" | "mine" | "owner"> & { phase: AuctionStatus };

export const isHidden = (format: string): boolean => format === "sealed" || format === "proposal";

/** +1 where more is better, -1 where bidders bid down. */
export const sign = (direction: string): 1 | -1 => (direction === "forward" ? 1 : -1);

/** The weakest amount that beats a price; null when nothing better is possible. */
export function nextAmount(terms: Terms, price: number | null): number | null {
  if (price === null) return terms.start_amount;
  const row = terms.increments.findLast(({ from }) => from <= price);
  const d = sign(terms.direction);
  const amount = Math.max(terms.minimum_amount, price + d * (row?.step ?? 1));
  return d * amount > d * price && Number.isSafeInteger(amount) ? amount : null;
}

/** The status, with what the market's time adds: not begun yet, or over although the `closed` is still to come. */
export function statusAt(
  state: { phase: AuctionStatus; start_at: string; end_at: string },
  now: number,
): AuctionStatus {
  if (state.phase !== "open") return state.phase;
  if (now < Date.parse(state.start_at)) return "scheduled";
  return now < Date.parse(state.end_at) ? "open" : "closed";
}

/** Whether an end at this time would be put off by a bid: the last `window_s` of an open format. */
export function inSoftClose(state: AuctionState, now: number): boolean {
  const window = state.terms.soft_close.window_s * 1000;
  const left = Date.parse(state.end_at) - now;
  return state.phase === "open" && !isHidden(state.format) && window > 0 && left > 0 && left <= window;
}

/** Folds an event of the stream into its state; for `live()` and `subscribe`. */
export function foldAuction(state: AuctionState, event: AuctionEvent): AuctionState {
  const next = { ...state, ...changes(state, event), seq: event.seq };
  const runs = next.phase === "open" || next.phase === "paused";
  return { ...next, min_next: runs && !isHidden(next.format) ? nextAmount(next.terms, next.price) : null };
}

function changes(state: AuctionState, event: AuctionEvent): Partial<AuctionState> {
  switch (event.type) {
    case "opened":
      return event.phase === "envelopes" ? { envelopes: event.bids } : begun(event);
    case "bid":
    case "retracted":
    case "reconfirmed":
      return outcome(event);
    case "suspended":
      return { ...outcome(event), revision: event.revision };
    case "counted":
      return { bid_count: event.bid_count };
    case "extended":
      return { end_at: event.end_at };
    case "paused":
      return { phase: "paused", paused_at: event.t };
    case "resumed":
      return { phase: "open", paused_at: null, end_at: event.end_at, hard_end_at: event.hard_end_at };
    case "closed":
      return {
        phase: "closed",
        paused_at: null,
        outcome: event.outcome,
        winner: event.winner,
        price: event.price,
        bid_count: event.bid_count,
        reserve_met: event.reserve_met,
        reserve:
          event.reserve_amount === null
            ? state.reserve
            : { amount: event.reserve_amount, salt: event.reserve_salt ?? "" },
      };
    case "awarded": {
      const { bidder, amount, accept_by } = event;
      return { phase: "awarded", award: { bidder, amount, accept_by, accepted: false } };
    }
    case "accepted":
      return { phase: "accepted", award: state.award && { ...state.award, accepted: true } };
    case "declined":
      return { phase: "closed", award: null };
    case "reopened":
      return {
        ...(isHidden(state.format) && { price: null, leader: null, reserve_met: null }),
        ...outcome(event),
        phase: "open",
        envelopes: null,
        hard_end_at: event.hard_end_at,
        outcome: null,
        winner: null,
        award: null,
      };
    case "cancelled":
      return { phase: "cancelled", paused_at: null };
  }
}

type Opened = Extract<AuctionEvent, { type: "opened"; phase: "auction" }>;

function begun({ job, format, direction, currency, terms, start_at, end_at, reserve_commitment }: Opened) {
  return {
    phase: "open" as const,
    job,
    format,
    direction,
    currency,
    terms,
    start_at,
    end_at,
    hard_end_at: terms.soft_close.hard_end_at,
    paused_at: null,
    price: null,
    leader: null,
    bid_count: isHidden(format) && !terms.show_count ? null : 0,
    reserve_met: reserve_commitment === null || isHidden(format) ? null : false,
    reserve_commitment,
    reserve: null,
    revision: 0,
    outcome: null,
    winner: null,
    award: null,
    envelopes: null,
  };
}

interface Outcome {
  price?: number | null;
  leader?: string | null;
  bid_count?: number | null;
  reserve_met?: boolean | null;
  end_at?: string;
}

/** What an event says of the outcome; hidden formats leave most of it out. */
function outcome({ price, leader, bid_count, reserve_met, end_at }: Outcome): Partial<AuctionState> {
  return {
    ...(price !== undefined && { price }),
    ...(leader !== undefined && { leader }),
    ...(bid_count !== undefined && { bid_count }),
    ...(reserve_met !== undefined && { reserve_met }),
    ...(end_at !== undefined && { end_at }),
  };
}
