import type { UserEvent } from "@rialto/client";
import { deviceName } from "$lib/device";
import { formatMoney } from "$lib/money";
import { formatAbsolute } from "$lib/time";
import { counted } from "$lib/words";
import type { IconName } from "$ui/icons";

type Notified = Extract<UserEvent, { type: "notification" }>;

/** A notification, as a page of them or the stream has it. */
export type Notice = Notified extends infer N ? (N extends Notified ? Pick<N, "kind" | "data"> : never) : never;

export interface Description {
  icon: IconName;
  tone: "plain" | "live" | "good" | "bad" | "warn";
  /** What has happened, in our words. */
  head: string;
  /** Who did it: a name that somebody chose, or a pseudonym. It stands before the head. */
  who?: string | undefined;
  /** What it is about: text that somebody wrote. */
  subject: string;
  /** More of it, in our words. */
  detail?: string | undefined;
  /** What somebody wrote. */
  quote?: string | undefined;
  href: string;
}

/** A notification in words, and where it leads to. */
export function describe(notice: Notice): Description {
  switch (notice.kind) {
    case "message":
    case "mention": {
      const { name, user, title, excerpt, room, message } = notice.data;
      return {
        icon: "chat",
        tone: "plain",
        who: name ?? user,
        head: notice.kind === "mention" ? "mentioned you" : "wrote to you",
        subject: title ?? "",
        quote: excerpt,
        href: `/chat/${room}?at=${message}`,
      };
    }
    case "security":
      return {
        icon: "shield",
        tone: "warn",
        head: "Somebody signed in to your account",
        subject: deviceName(notice.data.device),
        detail: `${formatAbsolute(notice.data.at)}. If it wasn't you, end that session in your profile.`,
        href: "/me",
      };
    default:
      return { ...ofAuction(notice), subject: notice.data.title, href: `/jobs/${notice.data.job}` };
  }
}

type AuctionNotice = Exclude<Notice, { kind: "message" | "mention" | "security" }>;

function ofAuction(notice: AuctionNotice): Omit<Description, "subject" | "href"> {
  const money = (amount: number) => formatMoney(amount, notice.data.currency);
  switch (notice.kind) {
    case "bid_received": {
      const { name, bidder, amount, price, bid_count } = notice.data;
      const count = bid_count === 1 ? "It is the only one" : `There are ${bid_count} now`;
      if (amount === undefined)
        return { icon: "gavel", tone: "live", head: "A sealed bid came in", detail: `${count}.` };
      const stands = price != null ? `The price is ${money(price)}. ` : "";
      return {
        icon: "gavel",
        tone: "live",
        who: name ?? bidder,
        head: `${notice.data.format === "proposal" ? "proposes" : "bids"} ${money(amount)}`,
        detail: `${stands}${count}.`,
      };
    }
    case "outbid": {
      const { price, min_next } = notice.data;
      const back = min_next === null ? "" : ` ${money(min_next)} would take the lead back.`;
      return { icon: "warning", tone: "live", head: "You were outbid", detail: `The price is ${money(price)}.${back}` };
    }
    case "leading":
      return { icon: "check", tone: "good", head: `You lead at ${money(notice.data.price)}` };
    case "extended": {
      const end = formatAbsolute(notice.data.end_at);
      return { icon: "clock", tone: "live", head: "It goes on longer", detail: `A late bid moved the end to ${end}.` };
    }
    case "closing_soon": {
      const { price, end_at } = notice.data;
      const stands = price === null ? "" : ` The price is ${money(price)}.`;
      return { icon: "clock", tone: "live", head: "It closes soon", detail: `At ${formatAbsolute(end_at)}.${stands}` };
    }
    case "won": {
      const { amount, accept_by } = notice.data;
      const detail = `Accept by ${formatAbsolute(accept_by)}, or it lapses.`;
      return { icon: "star", tone: "good", head: `You were chosen at ${money(amount)}`, detail };
    }
    case "award_expiring": {
      const { amount, accept_by } = notice.data;
      const detail = `Accept ${money(amount)} by ${formatAbsolute(accept_by)}.`;
      return { icon: "clock", tone: "warn", head: "Your award lapses soon", detail };
    }
    case "counter_offer": {
      const { by, name, bidder, amount, delivery_days, excerpt } = notice.data;
      const days = delivery_days === null ? "" : ` in ${counted(delivery_days, "day")}`;
      return {
        icon: "gavel",
        tone: "live",
        ...(by === "bidder" && { who: name ?? bidder }),
        head: `${by === "bidder" ? "offers" : "The client offers"} ${money(amount)}${days}`,
        ...(excerpt && { quote: excerpt }),
      };
    }
    case "auction_closed":
      return closed(notice.data, money);
    case "award_accepted": {
      const { name, bidder, amount } = notice.data;
      return { icon: "star", tone: "good", who: name ?? bidder, head: `accepts the job at ${money(amount)}` };
    }
    case "award_declined": {
      const { name, bidder, reason } = notice.data;
      const expired = reason === "expired";
      return {
        icon: "warning",
        tone: "warn",
        who: name ?? bidder,
        head: expired ? "didn't accept in time" : "declines the job",
        detail: "You can choose somebody else, or open the auction again.",
        ...(reason && !expired && { quote: reason }),
      };
    }
    case "lost":
      return lost(notice.data, money);
  }
}

type Closed = Extract<Notice, { kind: "auction_closed" }>["data"];

function closed({ outcome, price, winner, name, bid_count }: Closed, money: (amount: number) => string) {
  const icon = "gavel" as const;
  switch (outcome) {
    case "sold": {
      const at = price === null ? "" : ` at ${money(price)}`;
      return { icon, tone: "good" as const, who: name ?? winner ?? undefined, head: `wins your auction${at}` };
    }
    case "undecided":
      return {
        icon,
        tone: "warn" as const,
        head: "Your auction is over: choose",
        detail: `There ${bid_count === 1 ? "is" : "are"} ${counted(bid_count, "proposal")}.`,
      };
    case "reserve_not_met": {
      const best = price === null ? "" : ` The best bid was ${money(price)}.`;
      const detail = `The reserve price was not reached.${best}`;
      return { icon, tone: "plain" as const, head: "Your auction ended without a deal", detail };
    }
    case "no_bids":
      return { icon, tone: "plain" as const, head: "Your auction ended without a bid" };
  }
}

type Lost = Extract<Notice, { kind: "lost" }>["data"];

function lost({ outcome, reason, price, winner }: Lost, money: (amount: number) => string) {
  const icon = "close" as const;
  const tone = "plain" as const;
  if (outcome === "cancelled") {
    return { icon, tone, head: "It was cancelled", ...(reason && { quote: reason }) };
  }
  if (outcome === "reserve_not_met") {
    return { icon, tone, head: "It ended without a deal", detail: "The reserve price was not reached." };
  }
  const at = price === null ? "" : ` at ${money(price)}`;
  return { icon, tone, head: "Somebody else was chosen", detail: winner ? `${winner}${at}.` : undefined };
}
