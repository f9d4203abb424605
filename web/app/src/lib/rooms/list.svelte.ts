import type { RoomEvent, Schemas, Subscription } from "@rialto/client";
import { client, rest, session } from "$lib/market.svelte";
import { Seen } from "$lib/seen.svelte";
import { unread } from "$lib/unread.svelte";
import { foldItems, foldOutline } from "./fold";
import type { People } from "./signals.svelte";

export type Summary = Schemas["RoomSummary"];

const PAGE = 30;
const FIRST_PAGE = `/rooms?limit=${PAGE}`;
/** The rooms whose events are followed while the list is before somebody's eyes: the first ones. */
const FOLLOWED = 60;

/** One's rooms, the most recently active first, each with its last message as it is now. */
export class RoomList {
  rooms = $state.raw<readonly Summary[]>([]);
  next = $state<string | null>(null);
  status = $state<"loading" | "there" | "failed">("loading");
  loadingMore = $state(false);
  error = $state.raw<unknown>(undefined);

  private readonly followed = new Map<string, Subscription<RoomEvent>>();
  /** The last of each: a list that was on its way meanwhile may be older. */
  private readonly receipts = new Map<string, [room: string, user: string, read_seq: number]>();
  private readonly end = new AbortController();
  private recount: ReturnType<typeof setTimeout> | undefined;
  /** What an answer to `fetch` would be now. */
  private readonly seen = new Seen(`/api/v1${FIRST_PAGE}`, () => ({ items: this.rooms, next_cursor: this.next }));

  constructor(private readonly people: People) {}

  /** Follows the rooms until the returned function is called. */
  follow(): () => void {
    const stopReceipts = client.on("receipt", ({ room, user, read_seq }) => this.wasRead(room, user, read_seq));
    const inbox = client.subscribe(`user:${session.user?.id ?? ""}`, {
      onEvent: (event) => {
        if (event.type !== "notification" || (event.kind !== "message" && event.kind !== "mention")) return;
        if (!this.followed.has(event.data.room)) this.reload();
      },
      onSnapshot: () => {},
    });
    inbox.closed.catch(() => {});
    // A hidden page hears nothing of rooms, so that the server knows whom to notify.
    const look = () => (document.hidden ? this.unfollowAll() : this.reload());
    document.addEventListener("visibilitychange", look);
    const forget = this.seen.follow();
    return () => {
      forget();
      document.removeEventListener("visibilitychange", look);
      stopReceipts();
      inbox.unsubscribe();
      this.end.abort();
      this.unfollowAll();
      clearTimeout(this.recount);
    };
  }

  readonly reload = (): void => void this.load();

  async more(): Promise<void> {
    if (this.loadingMore || this.next === null) return;
    this.loadingMore = true;
    try {
      const page = await this.fetch(`&cursor=${encodeURIComponent(this.next)}`);
      const known = new Set(this.rooms.map(({ id }) => id));
      this.rooms = [...this.rooms, ...page.items.filter(({ id }) => !known.has(id))];
      this.next = page.next_cursor ?? null;
      this.followFirst();
    } catch (error) {
      if (!this.end.signal.aborted) this.error = error;
    } finally {
      this.loadingMore = false;
    }
  }

  change(id: string, change: Partial<Summary>): void {
    this.rooms = this.rooms.map((room) => (room.id === id ? { ...room, ...change } : room));
  }

  private async load(): Promise<void> {
    try {
      const page = await this.fetch("");
      const fresh = new Map(page.items.map(({ id, seq }) => [id, seq]));
      const further = this.next === null ? [] : this.rooms.slice(PAGE).filter(({ id }) => !fresh.has(id));
      // What has happened since the answer was given is known already.
      const newer = new Map(
        this.rooms.filter(({ id, seq }) => seq > (fresh.get(id) ?? seq)).map((room) => [room.id, room]),
      );
      this.rooms = [...newer.values(), ...page.items.filter(({ id }) => !newer.has(id)), ...further];
      for (const receipt of this.receipts.values()) this.wasRead(...receipt);
      if (further.length === 0) this.next = page.next_cursor ?? null;
      this.status = "there";
      this.error = undefined;
      if (!document.hidden) this.followFirst();
    } catch (error) {
      if (this.end.signal.aborted) return;
      this.error = error;
      if (this.status !== "there") this.status = "failed";
    }
  }

  private fetch(cursor: string): Promise<{ items: Summary[]; next_cursor?: string | null }> {
    return rest("GET", FIRST_PAGE + cursor, { signal: this.end.signal });
  }

  private followFirst(): void {
    const first = this.rooms.slice(0, FOLLOWED);
    const ids = new Set(first.map(({ id }) => id));
    for (const id of this.followed.keys()) if (!ids.has(id)) this.unfollow(id);
    for (const { id, seq } of first) {
      if (this.followed.has(id)) continue;
      const subscription = client.subscribe<`room:${string}`>(`room:${id}`, {
        after: seq,
        onEvent: (event) => this.take(id, event),
      });
      subscription.closed.catch(() => this.followed.delete(id));
      this.followed.set(id, subscription);
    }
  }

  private unfollow(id: string): void {
    this.followed.get(id)?.unsubscribe();
    this.followed.delete(id);
  }

  private unfollowAll(): void {
    for (const id of this.followed.keys()) this.unfollow(id);
  }

  private take(id: string, event: RoomEvent): void {
    const before = this.rooms.find((room) => room.id === id);
    if (before === undefined || event.seq <= before.seq) return;
    const room = { ...foldOutline(before, event), last_message: this.lastAfter(before, event) };
    if (event.type !== "message") {
      this.change(id, room);
      this.seen.changed();
      if (event.type === "member_removed" && event.user === before.me)
        this.rooms = this.rooms.filter((each) => each.id !== id);
      return;
    }
    this.people.types(id, event.user, false);
    const own = event.user === before.me;
    const count = own ? 0 : before.unread + 1;
    const read_seq = own ? event.seq : before.read_seq;
    this.rooms = [{ ...room, unread: count, read_seq }, ...this.rooms.filter((each) => each.id !== id)];
    this.seen.changed();
    this.countSoon();
  }

  private lastAfter({ last_message }: Summary, event: RoomEvent): Summary["last_message"] {
    const items = foldItems(last_message === null ? [] : [last_message], event);
    return (items.at(-1) ?? null) as Summary["last_message"];
  }

  private wasRead(id: string, user: string, read_seq: number): void {
    this.receipts.set(`${id} ${user}`, [id, user, read_seq]);
    const room = this.rooms.find((each) => each.id === id);
    if (room === undefined || user !== room.me || read_seq <= room.read_seq) return;
    const all = read_seq >= (room.last_message?.seq ?? 0);
    this.change(id, { read_seq, ...(all && { unread: 0 }) });
    this.countSoon();
  }

  /** Whoever watches a room isn't notified of it, so the count in the shell has to be asked for. */
  private countSoon(): void {
    clearTimeout(this.recount);
    this.recount = setTimeout(() => void unread.countMessages(), 300);
  }
}
