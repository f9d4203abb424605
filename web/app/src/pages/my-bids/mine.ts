import type { Schemas } from "@rialto/client";
import type { AuctionStatus } from "$lib/auction";

export interface Standing {
  tone: "plain" | "live" | "good" | "warn";
  text: string;
}

/** How a bidder stands, in a few words. */
export function standing(status: AuctionStatus, format: string, mine: Schemas["OwnView"], leading: boolean): Standing {
  if (status === "cancelled") return { tone: "plain", text: "Cancelled" };
  if (mine.award?.accepted) return { tone: "good", text: "Yours" };
  if (mine.award) return { tone: "warn", text: "Won: accept it" };
  const runs = status === "open" || status === "paused" || status === "scheduled";
  if (!runs)
    return status === "closed" && format !== "sealed" && leading
      ? { tone: "good", text: "Led at the end" }
      : ended(status);
  if (mine.suspended) return { tone: "warn", text: "Waits for your yes" };
  if (mine.limit === null) return { tone: "plain", text: "Taken back" };
  if (mine.counter?.by === "client") return { tone: "warn", text: "Counter-offer" };
  if (format === "sealed") return { tone: "plain", text: "Sealed" };
  if (format === "proposal") return { tone: "plain", text: "Handed in" };
  return leading ? { tone: "good", text: "You lead" } : { tone: "live", text: "Outbid" };
}

const ended = (status: AuctionStatus): Standing => ({
  tone: "plain",
  text: status === "closed" ? "Ended, not decided" : "Went to another",
});
