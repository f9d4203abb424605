import { recall, shelve } from "../sw/shelf";
import { seenBy } from "../sw/rules";
import { connection, session } from "./market.svelte";
import { offline } from "./offline.svelte";

/** What is there is first kept so soon, and then so often at most. */
const FIRST_MS = 500;
const EVERY_MS = 5000;
const LOOK_MS = 300;

/** Something that is followed live, kept on this device as it was last seen, for a start without a server. */
export class Seen<T> {
  /** The server can't be reached, and nothing is kept. */
  missing = $state(false);

  private readonly url: string;
  private writing: ReturnType<typeof setTimeout> | undefined;
  private waiting: ReturnType<typeof setTimeout> | undefined;
  private written = -EVERY_MS;
  private readonly user = session.user?.id;

  /**
   * @param url an address of this origin that nothing else is kept under; or one of the REST interface, for what it answers.
   * @param value what is shown; undefined while that is nothing.
   * @param show takes what was kept; never called without it.
   */
  constructor(
    url: string,
    private readonly value: () => T | undefined,
    private readonly show?: (kept: T) => void,
  ) {
    this.url = new URL(url, location.origin).href;
  }

  /** Shows what is kept if the server is away, and keeps what changes, until the returned function is called. */
  follow(): () => void {
    if (this.show) this.waitForServer();
    const leave = () => {
      if (document.hidden) this.flush();
    };
    document.addEventListener("visibilitychange", leave);
    return () => {
      document.removeEventListener("visibilitychange", leave);
      clearTimeout(this.waiting);
      this.flush();
    };
  }

  /** What is shown is from the server, and another than before. */
  changed(): void {
    this.missing = false;
    if (this.writing !== undefined) return;
    const wait = Math.max(FIRST_MS, this.written + EVERY_MS - performance.now());
    this.writing = setTimeout(() => this.flush(), wait);
  }

  private flush(): void {
    if (this.writing === undefined) return;
    clearTimeout(this.writing);
    this.writing = undefined;
    this.written = performance.now();
    const value = this.value();
    // Nothing is kept of whoever has signed out meanwhile.
    if (value === undefined || !("caches" in globalThis) || session.user?.id !== this.user) return;
    shelve(seenBy(this.user), this.url, JSON.stringify(value), "application/json").catch(() => {}); // there may be no room
  }

  private waitForServer(): void {
    this.waiting = setTimeout(() => {
      if (this.value() !== undefined) return;
      if (connection.away) void this.recall();
      else this.waitForServer();
    }, LOOK_MS);
  }

  private async recall(): Promise<void> {
    const kept = "caches" in globalThis ? await recall(seenBy(this.user), this.url).catch(() => undefined) : undefined;
    const value = kept && ((await kept.json()) as T);
    if (this.value() !== undefined) return;
    if (!connection.away) return this.waitForServer();
    this.missing = value === undefined;
    if (kept === undefined || value === undefined) return;
    offline.note(kept);
    this.show?.(value);
  }
}
