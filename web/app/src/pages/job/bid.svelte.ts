import { RialtoError } from "@rialto/client";
import { fieldErrors, type FieldErrors, isLost } from "$lib/errors";
import { client } from "$lib/market.svelte";
import { type Refusal, refusal } from "./bidding";
import type { Floor } from "./floor.svelte";
import type { Attempt } from "./types";

/** What somebody wants to bid. */
export interface Wish {
  amount: number;
  kind: "exact" | "auto";
  delivery_days?: number;
  cover_letter?: string;
}

export interface Placed {
  wish: Wish;
  price: number | null;
  leading: boolean | null;
}

/** The reader's bids on one auction: one at a time, each counted once however often it is sent. */
export class Bidding {
  attempt = $state.raw<Attempt | undefined>(undefined);
  refused = $state.raw<Refusal | undefined>(undefined);
  wrong = $state.raw<FieldErrors>({});
  placed = $state.raw<Placed | undefined>(undefined);
  /** Further from the price than goes without a question. */
  jump = $state.raw<Wish | undefined>(undefined);

  private wish: Wish | undefined;
  private confirmed = false;

  readonly busy: boolean = $derived(this.attempt?.state === "sending");

  /** What is still true of the last bid: the price may have moved on since, and the rest of the page tells that. */
  readonly told: Placed | undefined = $derived.by(() => {
    const { placed } = this;
    if (placed?.price != null) return placed.price === this.floor.state?.price ? placed : undefined;
    // Of a hidden auction nothing is told but what one has there oneself.
    const last = this.floor.mine?.bids[0];
    const gone = last?.amount === placed?.wish.amount && last?.status !== "active";
    return gone ? undefined : placed;
  });

  constructor(
    private readonly auction: string,
    private readonly floor: Floor,
  ) {}

  place(wish: Wish, confirmed = false): Promise<void> {
    if (this.busy) return Promise.resolve();
    this.wish = wish;
    this.confirmed = confirmed;
    return this.send({ key: crypto.randomUUID(), amount: wish.amount, kind: wish.kind, state: "sending" });
  }

  /** Sends the same bid again, with the same key: if it had arrived, it is only answered. */
  again(): Promise<void> {
    if (this.attempt === undefined || this.busy) return Promise.resolve();
    return this.send({ ...this.attempt, state: "sending" });
  }

  confirm(): Promise<void> {
    const wish = this.jump;
    this.jump = undefined;
    return wish === undefined ? Promise.resolve() : this.place(wish, true);
  }

  /** Leaves what was said of the last bid. */
  forget(): void {
    this.refused = undefined;
    this.placed = undefined;
    this.wrong = {};
    if (this.attempt?.state === "unsure") this.attempt = undefined;
  }

  private async send(attempt: Attempt): Promise<void> {
    const wish = this.wish;
    if (wish === undefined) return;
    this.forget();
    this.attempt = attempt;
    const body = { auction: this.auction, ...wish, ...(this.confirmed && { confirm: true }) };
    try {
      const { price, leading } = await client.bid(body, { key: attempt.key });
      this.attempt = undefined;
      this.placed = { wish, price, leading };
      this.floor.refresh();
    } catch (error) {
      this.refuse(error, attempt, wish);
    }
  }

  private refuse(error: unknown, attempt: Attempt, wish: Wish): void {
    const state = this.floor.state;
    if (state === undefined) return;
    const said = refusal(error, state);
    const unsure = isLost(error);
    this.attempt = unsure ? { ...attempt, state: "unsure" } : undefined;
    if (said.confirm) this.jump = wish;
    else if (error instanceof RialtoError && error.code === "VALIDATION_FAILED") this.wrong = fieldErrors(error);
    // With another key it could count twice; what was surely not placed is simply placed again.
    if (!said.confirm) this.refused = { ...said, ...(said.again && !unsure && { again: false }) };
  }
}
