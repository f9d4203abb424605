import { Broken, Chain, type LoggedEvent, reserveMatches } from "./chain";
import type { OwnBid } from "../types";

export interface Expected {
  /** The hashes of events that this page was sent while it was open, by seq. */
  seen: ReadonlyMap<number, string>;
  /** The reader's own bids, as the server tells them. */
  own: readonly OwnBid[];
  /** Whether bids are in the public log as they are placed. */
  open: boolean;
  /** Told how many events were found good so far. */
  onProgress?: (events: number) => void;
}

export interface Report {
  /** How many events were found good, from the first. */
  events: number;
  bytes: number;
  /** The hash of the last good event. */
  head: string;
  /** What is wrong, and at which event. */
  broken?: { seq: number; reason: string };
  /** `hidden` until the close; `kept` when it is what was committed to. */
  reserve: "none" | "hidden" | "kept";
  /** How many events had the hash that this page was sent live. */
  compared: number;
  /** How many of the reader's own bids are in the log as they were placed. */
  own: number;
  /** Those whose limit only a commitment tells of. */
  automatic: number;
}

const STEP = 250;

/** Checks a whole log, JSON Lines, without trusting the server for anything but the reader's own list of bids. */
export async function verify(log: string, expected: Expected): Promise<Report> {
  const lines = log.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const bytes = new TextEncoder().encode(log).length;
  const report: Report = { events: 0, bytes, head: "", reserve: "none", compared: 0, own: 0, automatic: 0 };
  const chain = new Chain();
  const content = new Content(report, expected);
  try {
    if (lines.length === 0) throw new Broken(1, "the log is empty");
    for (const line of lines) {
      const { event, hash } = await chain.take(line);
      content.compare(event.seq, hash);
      await content.look(event);
      report.events = chain.length;
      report.head = chain.head;
      if (chain.length % STEP === 0) expected.onProgress?.(chain.length);
    }
    content.end(chain.length);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    report.broken = { seq: error.seq, reason: error.message };
  }
  return report;
}

/** What the events say, beyond their chain. */
class Content {
  private commitment: unknown = null;
  private readonly own: Map<number, OwnBid>;
  private best: unknown;

  constructor(
    private readonly report: Report,
    private readonly expected: Expected,
  ) {
    this.own = new Map(expected.open ? expected.own.map((bid) => [bid.seq, bid]) : []);
  }

  compare(seq: number, hash: string): void {
    const seen = this.expected.seen.get(seq);
    if (seen === undefined) return;
    if (seen !== hash) throw new Broken(seq, "it isn't what this page was shown when it happened");
    this.report.compared += 1;
  }

  async look(event: LoggedEvent): Promise<void> {
    if (event.seq === 1) this.open(event);
    else if (event.type === "opened") this.best = bidderOf((event.bids as unknown[] | undefined)?.[0]);
    else if (event.type === "closed") await this.close(event);
    this.lookForOwn(event);
  }

  /** To be called behind the last line: what must be there, was it there? */
  end(events: number): void {
    const last = Math.max(0, ...this.expected.seen.keys());
    if (last > events) throw new Broken(events + 1, `this page was shown ${last} events, the log ends before`);
    const missing = this.own.keys().next();
    if (!missing.done) throw new Broken(missing.value, "a bid of yours is missing");
  }

  private open(event: LoggedEvent): void {
    if (event.type !== "opened" || event.phase !== "auction")
      throw new Broken(1, "an auction's log begins with its opening");
    this.commitment = event.reserve_commitment;
    if (this.commitment !== null) this.report.reserve = "hidden";
  }

  private async close({
    seq,
    reserve_amount: amount,
    reserve_salt: salt,
    outcome,
    winner,
  }: LoggedEvent): Promise<void> {
    const promised = this.commitment !== null;
    if (promised !== (amount !== null)) throw new Broken(seq, "the reserve is not told as it was promised");
    if (promised) {
      if (!(await reserveMatches(String(this.commitment), String(salt), Number(amount))))
        throw new Broken(seq, "the reserve is not the one that was committed to");
      this.report.reserve = "kept";
    }
    if (this.best !== undefined && outcome === "sold" && winner !== this.best)
      throw new Broken(seq, "the winner is not the first of the opened bids");
  }

  private lookForOwn(event: LoggedEvent): void {
    const bid = this.own.get(event.seq);
    if (bid === undefined) return;
    this.own.delete(event.seq);
    const automatic = "limit_commitment" in event;
    const same =
      event.type === "bid" && event.t === bid.t && (bid.kind === "auto" ? automatic : event.amount === bid.amount);
    if (!same) throw new Broken(event.seq, "it isn't the bid that you placed");
    this.report.own += 1;
    if (automatic) this.report.automatic += 1;
  }
}

const bidderOf = (row: unknown): unknown =>
  typeof row === "object" && row !== null && "bidder" in row ? row.bidder : undefined;
