import type { Schemas, UserEvent } from "@rialto/client";
import { client, session } from "$lib/market.svelte";
import { Pages } from "$lib/pages.svelte";
import { Seen } from "$lib/seen.svelte";
import type { Notice } from "./describe";

export interface Entry {
  seq: number;
  t: string;
  notice: Notice;
  unread: boolean;
  /** How many older ones of the same room it stands for. */
  more: number;
}

type Line = Omit<Schemas["Notification"], "read"> & { read?: boolean };

const FIRST_PAGE = "/notifications?limit=30";

/** One's notifications, the newest first: pages of what was, and what comes. */
export class Notices {
  readonly pages = new Pages<Schemas["Notification"]>(
    () => FIRST_PAGE,
    ({ seq }) => seq,
  );
  private came = $state.raw<readonly Line[]>([]);
  private replaced = $state.raw<ReadonlySet<number>>(new Set());
  private readTo = $state(0);
  /** What the server would answer now. */
  private readonly seen = new Seen(`/api/v1${FIRST_PAGE}`, () => ({
    items: this.lines.map((line) => ({ ...line, read: line.read === true || line.seq <= this.readTo })),
    next_cursor: this.pages.next,
    unread: this.entries.filter(({ unread }) => unread).length,
  }));

  private readonly lines: readonly Line[] = $derived.by(() => {
    const paged = new Set(this.pages.items.map(({ seq }) => seq));
    const lines: Line[] = [...this.came.filter(({ seq }) => !paged.has(seq)), ...this.pages.items];
    return lines.filter(({ seq }) => !this.replaced.has(seq));
  });
  readonly entries: readonly Entry[] = $derived.by(() => {
    return this.lines
      .map(({ seq, t, kind, data, read }) => ({
        seq,
        t,
        notice: { kind, data } as unknown as Notice,
        unread: read !== true && seq > this.readTo,
        more: 0,
      }))
      .reduce<Entry[]>(gathered, []);
  });
  readonly unread = $derived(this.entries.some((entry) => entry.unread));

  /** Follows the stream until the returned function is called. */
  follow(): () => void {
    const subscription = client.subscribe(`user:${session.user?.id ?? ""}`, {
      onSnapshot: (state) => {
        if (typeof state.read_to === "number") this.readTo = state.read_to;
      },
      onEvent: (event) => this.take(event),
    });
    subscription.closed.catch(() => {}); // a session that is over leads to sign-in
    const forget = this.seen.follow();
    return () => {
      forget();
      subscription.unsubscribe();
    };
  }

  async readAll(): Promise<void> {
    const newest = this.entries[0];
    if (newest) await client.readNotifications({ seq: newest.seq });
  }

  private take(event: UserEvent): void {
    if (event.type !== "opened") this.seen.changed();
    if (event.type === "read") this.readTo = Math.max(this.readTo, event.up_to);
    if (event.type !== "notification") return;
    const { seq, t, type, kind, data, replaces } = event;
    // It takes the place of what it makes pointless.
    if (replaces !== undefined) this.replaced = new Set([...this.replaced, replaces]);
    this.came = [{ seq, t, type, kind, data: { ...data } }, ...this.came];
  }
}

/** What somebody writes line by line is one entry: that of the last line. */
function gathered(entries: Entry[], next: Entry): Entry[] {
  const last = entries.at(-1);
  const goesOn =
    last?.notice.kind === "message" &&
    next.notice.kind === "message" &&
    last.notice.data.room === next.notice.data.room &&
    last.notice.data.user === next.notice.data.user &&
    last.unread === next.unread;
  if (last && goesOn) last.more += 1;
  else entries.push(next);
  return entries;
}
