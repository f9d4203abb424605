import { RialtoError } from "@rialto/client";
import { type AuctionState, inSoftClose, isHidden, nextAmount } from "$lib/auction";
import { errorText } from "$lib/errors";
import { formatMoney } from "$lib/money";
import { formatAbsolute } from "$lib/time";
import type { OwnBid } from "./types";

const HOUR = 3_600_000;

/** The weakest amounts that would lead, a step apart. */
export function quickAmounts(state: AuctionState, most = 3): number[] {
  const found: number[] = [];
  let amount = state.min_next;
  while (amount !== null && found.length < most) {
    found.push(amount);
    amount = nextAmount(state.terms, amount);
  }
  return found;
}

/** Whether the rules let a bid be taken back now; the server has the last word. */
export function mayRetract(bid: OwnBid, state: AuctionState, now: number): boolean {
  if (bid.status !== "active" || state.phase !== "open" || now >= Date.parse(state.end_at)) return false;
  if (isHidden(state.format)) return true;
  if (inSoftClose(state, now)) return false;
  return Date.parse(state.end_at) - now > 12 * HOUR || now - Date.parse(bid.t) <= HOUR;
}

/** Of `RETRACT_NOT_ALLOWED` and others the server tells why in words that suit people. */
const WORDS: Partial<Record<RialtoError["code"], string>> = {
  ALREADY_LEADING: "You lead already. Only a better automatic limit is of use to you now.",
  LIMIT_NOT_IMPROVED: "That limit isn't better than the one you have.",
  AUCTION_CLOSED: "The auction was over before your bid arrived.",
  AUCTION_PAUSED: "The auction is paused: bids are taken again when an administrator resumes it.",
  NOT_INVITED: "Only those whom the client has invited may bid here.",
  SELF_BID: "This job is yours: you can't bid on it.",
  BLOCKED: "The client takes no bids from you.",
  FORBIDDEN: "Your account is not one for freelancers, who bid here. You can change that in your profile.",
  STALE_STATE: "The auction has moved on. Look at the new price first.",
  QUOTA_EXCEEDED: "You have placed as many bids as you may for now.",
  CURRENCY_MISMATCH: "This auction is held in another currency.",
  IDEMPOTENCY_MISMATCH: "That bid was sent before with another amount. Place a new one.",
  UNAUTHENTICATED: "Your session has ended. Sign in to bid.",
  UNAVAILABLE: "Rialto is busy and hasn't placed your bid for certain.",
  DISCONNECTED: "The connection was lost before there was an answer, so your bid may have arrived.",
};

/** Why a bid was not taken, and what the reader can do about it. */
export interface Refusal {
  text: string;
  /** An amount to offer instead. */
  instead?: number;
  /** The same bid, with the same key, can be sent again. */
  again?: boolean;
  /** Rather than an error: the amount has to be confirmed first. */
  confirm?: boolean;
}

export function refusal(error: unknown, { terms, currency }: AuctionState): Refusal {
  if (!(error instanceof RialtoError)) return { text: errorText(error) };
  const money = (amount: number) => formatMoney(amount, currency);
  const { code, details } = error;
  if (code === "CONFIRM_REQUIRED") return { text: "", confirm: true };
  if (code === "BID_TOO_WEAK") {
    const next = details.min_next;
    if (typeof next !== "number") return { text: "Somebody was quicker, and no better bid is possible." };
    const least = terms.direction === "reverse" ? "at most" : "at least";
    return { text: `The price has moved. Your bid must now be ${least} ${money(next)}.`, instead: next };
  }
  if (code === "BEYOND_START") {
    const side = terms.direction === "reverse" ? "more than" : "less than";
    return { text: `No bid may be ${side} the start, ${money(terms.start_amount)}.`, instead: terms.start_amount };
  }
  if (code === "AMOUNT_INVALID")
    return typeof details.minimum_amount === "number"
      ? { text: `No bid may be less than ${money(details.minimum_amount)}.`, instead: details.minimum_amount }
      : { text: "That isn't an amount that can be bid." };
  if (code === "AUCTION_NOT_OPEN" && typeof details.start_at === "string")
    return { text: `Bids are taken from ${formatAbsolute(details.start_at)} on.` };
  return { text: WORDS[code] ?? errorText(error), ...(error.retryable && { again: true }) };
}

/** `20 s`, `5 min`, `2 h`: spans of terms, which are round. */
export function formatSpan(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120 || seconds % 60 !== 0) {
    const minutes = Math.floor(seconds / 60);
    return minutes >= 2 ? `${minutes}\u00a0min ${seconds % 60}\u00a0s` : `${seconds}\u00a0s`;
  }
  const minutes = seconds / 60;
  return minutes % 60 === 0 ? `${minutes / 60}\u00a0h` : `${minutes}\u00a0min`;
}

export const FORMATS: Record<AuctionState["format"], { name: string; how: string }> = {
  reverse: { name: "Reverse auction", how: "Freelancers bid down. The lowest bid leads." },
  english: { name: "English auction", how: "Bids go up. The highest bid leads." },
  sealed: { name: "Sealed bids", how: "Nobody sees the bids, the client included, until all are opened at the end." },
  proposal: { name: "Proposals", how: "The client sees all proposals and chooses freely. You see your own." },
};
