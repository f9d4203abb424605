import { RialtoError, type RoomEvent, type Schemas, type Subscription } from "@rialto/client";
import { untrack } from "svelte";
import { client, outgoing, rest } from "$lib/market.svelte";
import { Seen } from "$lib/seen.svelte";
import { unread } from "$lib/unread.svelte";
import { foldItems, foldOutline, type Item } from "./fold";
import type { People } from "./signals.svelte";

type RoomView = Schemas["RoomView"];
export type Room = Omit<RoomView, "messages" | "receipts">;

interface Mark {
  read_seq: number;
  delivered_seq: number;
}

/** How many messages a room's state has at most. */
const IN_STATE = 50;
const PAGE = 50;

/** One room as it is being followed: its messages back to where somebody has scrolled, and everything that happens from now on. */
export class Conversation {
  room = $state.raw<Room | undefined>(undefined);
  items = $state.raw<readonly Item[]>([]);
  /** How far the others are, by their names in the room. */
  receipts = $state.raw<ReadonlyMap<string, Mark>>(new Map());
  /** Of history: whether there is more, it is fetched, or could not be. */
  past = $state<"more" | "loading" | "failed" | "end">("more");
  /** What was read when the room was opened. */
  readBefore = $state<number | undefined>(undefined);
  error = $state.raw<unknown>(undefined);
  /** The last message by somebody else that came while the room was open. */
  latest = $state.raw<Item | undefined>(undefined);
  readonly seen: Seen<RoomView>;

  private subscription: Subscription<RoomEvent, Record<string, unknown>> | undefined;
  private marked: Mark = { read_seq: 0, delivered_seq: 0 };
  /** What happens while a page of history is on its way: the page may be older than that. */
  private meanwhile: RoomEvent[] | undefined;
  /** Whether the room had to be followed anew since the last event. */
  private cutOff = false;
  private readonly end = new AbortController();

  constructor(
    readonly id: string,
    private readonly people: People,
  ) {
    this.seen = new Seen(
      `/seen/room/${id}`,
      () => this.view(),
      (kept) => this.open(kept),
    );
  }

  /** Follows the room until the returned function is called. */
  follow(): () => void {
    const stop = client.on("receipt", (told) => {
      if (told.room === this.id) this.takeReceipts([told]);
    });
    this.begin();
    const forget = this.seen.follow();
    return () => {
      stop();
      forget();
      this.end.abort();
      this.subscription?.unsubscribe();
    };
  }

  /** Tries again after a failure. */
  readonly begin = (): void => {
    this.error = undefined;
    this.subscription = client.subscribe<`room:${string}`>(`room:${this.id}`, {
      onSnapshot: (state) => {
        this.open(state as unknown as RoomView);
        this.seen.changed();
        void this.refresh();
      },
      onEvent: (event) => this.take(event),
      onTrouble: () => (this.cutOff = true),
    });
    this.subscription.closed.catch((error: unknown) => (this.error = error));
  };

  /** Asks for what events don't tell: names, receipts, presence. */
  async refresh(): Promise<void> {
    const path = `/rooms/${encodeURIComponent(this.id)}`;
    const { signal } = this.end;
    try {
      const [view, present] = await Promise.all([
        rest<RoomView>("GET", path, { signal }),
        rest<Schemas["RoomPresence"]>("GET", `${path}/presence`, { signal }),
      ]);
      for (const { user, ...presence } of present.items) this.people.presence.set(user, presence);
      const { receipts } = view;
      if (this.room && view.seq >= this.room.seq) {
        const { members, muted, people = null, aliases = null } = view;
        this.room = { ...this.room, members, muted, people, aliases };
      }
      this.takeReceipts(receipts);
    } catch {
      // What was known before stands.
    }
  }

  /** Fetches the messages before the first one. */
  async older(limit = PAGE): Promise<void> {
    const first = this.items[0];
    if (this.past === "loading" || this.past === "end" || first === undefined) return;
    this.past = "loading";
    const meanwhile: RoomEvent[] = (this.meanwhile = []);
    const { signal } = this.end;
    try {
      const path = `/rooms/${encodeURIComponent(this.id)}/messages?before=${first.seq}&limit=${limit}`;
      const page = await rest<Schemas["Messages"]>("GET", path, { signal });
      const changes = meanwhile.filter((event) => event.type !== "message" && event.seq > page.seq);
      const older = changes.reduce<readonly Item[]>(foldItems, page.items);
      this.items = [...older, ...this.items];
      this.past = page.next_cursor === null ? "end" : "more";
    } catch {
      if (!signal.aborted) this.past = "failed";
    } finally {
      this.meanwhile = undefined;
    }
  }

  /** Fetches history until a message is there; whether it is. */
  async reach(seq: number): Promise<boolean> {
    while (!this.has(seq) && this.past === "more" && (this.items[0]?.seq ?? 0) > seq) await this.older(100);
    return this.has(seq);
  }

  has(seq: number): boolean {
    return this.items.some((item) => item.seq === seq);
  }

  find(seq: number): Item | undefined {
    return this.items.find((item) => item.seq === seq);
  }

  /** The reader has everything before the eyes (`seen`), or just on the device. */
  mark(seen: boolean): void {
    const { room } = this;
    const seq = this.items.at(-1)?.seq ?? 0;
    if (room === undefined || room.me === null || seq === 0) return;
    if (seen && seq > this.marked.read_seq) {
      this.marked = { read_seq: seq, delivered_seq: seq };
      client.readRoom({ room: this.id, seq }).then(
        () => void unread.countMessages(),
        () => (this.marked = { ...this.marked, read_seq: 0 }),
      );
    } else if (!seen && seq > this.marked.delivered_seq) {
      this.marked = { ...this.marked, delivered_seq: seq };
      rest("POST", `/rooms/${encodeURIComponent(this.id)}/delivered`, { body: { seq } }).catch(() => {});
    }
  }

  send(text: string, { reply_to, mentions }: { reply_to?: number | undefined; mentions: string[] }): void {
    outgoing.push(client.outbox, {
      room: this.id,
      text,
      ...(reply_to !== undefined && { reply_to }),
      ...(mentions.length > 0 && { mentions }),
    });
  }

  private open(view: RoomView): void {
    const { messages, receipts, ...room } = view;
    this.room = room;
    this.items = messages;
    this.past = messages.length < IN_STATE ? "end" : "more";
    this.readBefore ??= room.read_seq;
    this.marked = { read_seq: room.read_seq, delivered_seq: room.delivered_seq };
    this.takeReceipts(receipts);
    outgoing.shown(this.id, room.seq);
  }

  /** The room as `open` takes it. */
  private view(): RoomView | undefined {
    if (this.room === undefined) return undefined;
    const receipts = [...this.receipts].map(([user, mark]) => ({ user, ...mark }));
    const read_seq = Math.max(this.room.read_seq, this.marked.read_seq);
    return { ...this.room, read_seq, messages: this.items.slice(-IN_STATE) as RoomView["messages"], receipts };
  }

  private take(event: RoomEvent): void {
    if (this.cutOff) {
      this.cutOff = false;
      void this.refresh(); // receipts that were told before the room was followed again have no seq to resume from
    }
    this.meanwhile?.push(event);
    if (this.room) this.room = foldOutline(this.room, event);
    this.items = foldItems(this.items, event);
    this.seen.changed();
    if (event.type === "message") this.came(event);
    if (event.type === "member_added" || event.type === "revealed") void this.refresh();
  }

  private came(event: Extract<RoomEvent, { type: "message" }>): void {
    this.people.types(this.id, event.user, false);
    if (event.user === this.room?.me) {
      outgoing.arrived(this.id, event.seq, event.text, event.reply_to);
      outgoing.shown(this.id, event.seq);
    } else this.latest = this.items.at(-1);
    // Who says something has read what was said before.
    this.takeReceipts([{ user: event.user, read_seq: event.seq, delivered_seq: event.seq }]);
  }

  private takeReceipts(told: readonly ({ user: string } & Mark)[]): void {
    const receipts = new Map(untrack(() => this.receipts));
    for (const { user, read_seq, delivered_seq } of told) {
      const before = receipts.get(user) ?? { read_seq: 0, delivered_seq: 0 };
      receipts.set(user, {
        read_seq: Math.max(before.read_seq, read_seq),
        delivered_seq: Math.max(before.delivered_seq, delivered_seq),
      });
    }
    this.receipts = receipts;
  }
}

/** Whether somebody can't be in a room any more, or never could. */
export const isClosed = (error: unknown): boolean =>
  error instanceof RialtoError && (error.code === "FORBIDDEN" || error.code === "NOT_FOUND");
