import type { AuctionEvent, Schemas } from "@rialto/client";
import { untrack } from "svelte";
import { foldAuction, isHidden } from "$lib/auction";
import { live, type Live } from "$lib/live.svelte";
import { client, rest, session } from "$lib/market.svelte";
import { formatMoney } from "$lib/money";
import { offline } from "$lib/offline.svelte";
import { Seen } from "$lib/seen.svelte";
import { formatSpan } from "./bidding";
import type { Mine, Owned, Shown } from "./types";

/** How many events before the newest are fetched for ladder and chart. */
const HISTORY = 1000;
/** How many events are kept on this device. */
const KEPT = 200;
/** How often at most the reader's own part is asked for. */
const OWN_MS = 1500;
/** How often an open negotiation is looked at. */
const NEGOTIATION_MS = 8000;
/** How often at most a mere change of price is spoken. */
const SPOKEN_MS = 10_000;
const EXTENSION_SHOWN_MS = 12_000;

interface Kept {
  state: Shown;
  events: readonly AuctionEvent[];
  mine?: Mine | undefined;
  owned?: Owned | undefined;
}

export interface Extension {
  seq: number;
  by_ms: number;
}

/** One auction as the reader sees it: the stream, what came before, and what is only the reader's. */
export class Floor {
  readonly auction: Live<`auction:${string}`, Shown>;
  /** In order, the last one at `auction.seq`. */
  events = $state.raw<readonly AuctionEvent[]>([]);
  /** Whether `events` are there, those before the page was opened included. */
  history = $state<"loading" | "there" | "failed">("loading");
  mine = $state.raw<Mine | undefined>(undefined);
  owned = $state.raw<Owned | undefined>(undefined);
  /** Undefined until the server tells. */
  watchers = $state<number | undefined>(undefined);
  /** The last one, while it is news. */
  extension = $state.raw<Extension | undefined>(undefined);
  /** For screen readers, politely. */
  said = $state("");
  /** Hashes of what came live, for the verification of the log. */
  readonly seen = new Map<number, string>();
  readonly kept: Seen<Kept>;

  private readonly id: string;
  private spoken = 0;
  private asked = 0;
  private asking: ReturnType<typeof setTimeout> | undefined;
  private extended: ReturnType<typeof setTimeout> | undefined;

  readonly state: Shown | undefined = $derived.by(() => this.auction.state);
  /** Whether the reader leads; undefined where nobody is told, or the reader hasn't bid. */
  readonly leading: boolean | undefined = $derived.by(() => {
    if (this.mine === undefined || this.state === undefined || this.mine.bids.length === 0) return undefined;
    if (isHidden(this.state.format)) return this.mine.leading ?? undefined;
    return this.mine.pseudonym !== null && this.state.leader === this.mine.pseudonym;
  });

  constructor(id: string, onChange: (event: AuctionEvent) => void) {
    this.id = id;
    this.auction = live<`auction:${string}`, Shown>(() => `auction:${id}`, {
      reduce: (state, event) => ({ ...state, ...foldAuction(state, event) }),
      onSnapshot: (state, seq) => {
        this.mine = state.mine;
        this.owned = state.owner;
        this.kept.changed();
        void this.recall(seq);
      },
      onEvent: (event, state) => {
        this.events = [...this.events, event];
        this.seen.set(event.seq, event.hash);
        if (state !== undefined) this.tell(event, state);
        this.kept.changed();
        this.refresh();
        onChange(event);
      },
    });
    this.kept = new Seen<Kept>(
      `/seen/auction/${id}`,
      () =>
        this.auction.state && {
          state: this.auction.state,
          events: this.events.slice(-KEPT),
          mine: this.mine,
          owned: this.owned,
        },
      (kept) => this.show(kept),
    );
    $effect(() => this.kept.follow());
    $effect(() => {
      void offline.returns;
      untrack(() => this.history === "failed" && void this.recall());
    });
    $effect(() => this.listen());
  }

  /** Asks for the reader's own part again, soon. */
  readonly refresh = (): void => {
    if (!session.signedIn || this.asking !== undefined) return;
    const wait = Math.max(0, this.asked + OWN_MS - Date.now());
    this.asking = setTimeout(() => void this.ask(), wait);
  };

  /** Fetches what happened before the page was opened. */
  readonly recall = async (upTo: number = untrack(() => this.auction.seq)): Promise<void> => {
    this.history = "loading";
    const after = Math.max(0, upTo - HISTORY);
    const path = `/streams/auction:${encodeURIComponent(this.id)}/events?after=${after}&limit=${HISTORY}`;
    try {
      const { events } = await rest<{ events: AuctionEvent[] }>("GET", path);
      const there = this.events.filter(({ seq }) => seq > after); // what was kept may be long ago
      const known = new Set(there.map(({ seq }) => seq));
      const fresh = events.filter(({ seq }) => !known.has(seq) && seq <= this.auction.seq);
      this.events = [...fresh, ...there].sort((one, other) => one.seq - other.seq);
      this.history = "there";
    } catch (error) {
      this.history = "failed";
      offline.miss(error);
    }
  };

  private show({ state, events, mine, owned }: Kept): void {
    this.auction.state = state;
    this.auction.seq = state.seq;
    this.events = events;
    this.history = "there";
    this.mine = mine;
    this.owned = owned;
  }

  private async ask(): Promise<void> {
    this.asked = Date.now();
    try {
      const view = await rest<Schemas["AuctionView"]>("GET", `/auctions/${this.id}`);
      this.mine = view.mine ?? undefined;
      this.owned = view.owner ?? undefined;
    } catch {
      // The next event asks again.
    } finally {
      this.asking = undefined;
    }
  }

  private listen(): () => void {
    const stops = [
      client.on("watchers", ({ stream, count }) => {
        if (stream === `auction:${this.id}`) this.watchers = count;
      }),
      client.on("unread", () => this.refresh()),
    ];
    // Of proposals that are withdrawn nobody is told.
    const looking = setInterval(() => {
      const { format, phase } = this.state ?? {};
      if (format === "proposal" && phase === "open" && !document.hidden) this.refresh();
    }, NEGOTIATION_MS);
    const back = () => {
      if (!document.hidden) this.refresh();
    };
    document.addEventListener("visibilitychange", back);
    return () => {
      for (const stop of stops) stop();
      document.removeEventListener("visibilitychange", back);
      clearInterval(looking);
      clearTimeout(this.asking);
      clearTimeout(this.extended);
      this.asking = undefined;
    };
  }

  private tell(event: AuctionEvent, state: Shown): void {
    const me = this.mine?.pseudonym ?? undefined;
    const money = (amount: number) => formatMoney(amount, state.currency);
    switch (event.type) {
      case "extended":
        this.extend(event);
        return;
      case "bid": {
        const ledBefore = me !== undefined && this.ledBefore(event.seq) === me;
        if (ledBefore && event.leader !== me)
          this.say(`You have been outbid. ${event.leader} leads at ${money(event.price)}.`);
        else if (me !== undefined && event.leader === me) this.say(`You lead at ${money(event.price)}.`);
        else if (Date.now() - this.spoken > SPOKEN_MS) this.say(`${event.leader} leads at ${money(event.price)}.`);
        return;
      }
      case "closed":
        this.say("The auction is over.");
        return;
      case "paused":
        this.say("The auction is paused.");
        return;
      case "resumed":
        this.say("The auction goes on.");
        return;
      case "cancelled":
        this.say("The auction was cancelled.");
    }
  }

  /** Who led before an event. */
  private ledBefore(seq: number): string | null {
    for (let at = this.events.length - 1; at >= 0; at--) {
      const event = this.events[at] as AuctionEvent;
      if (event.seq < seq && "leader" in event && event.leader !== undefined) return event.leader;
    }
    return null;
  }

  private extend({ seq, end_at, previous_end_at }: Extract<AuctionEvent, { type: "extended" }>): void {
    const by_ms = Date.parse(end_at) - Date.parse(previous_end_at);
    this.extension = { seq, by_ms };
    this.say(`Extended by ${formatSpan(by_ms)}.`);
    clearTimeout(this.extended);
    this.extended = setTimeout(() => (this.extension = undefined), EXTENSION_SHOWN_MS);
  }

  private say(text: string): void {
    this.said = text;
    this.spoken = Date.now();
  }
}
