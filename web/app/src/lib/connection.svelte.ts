import type { Client, Way } from "@rialto/client";
import { offline } from "./offline.svelte";

export type ConnectionState = "connecting" | "live" | "reconnecting" | "offline";

/** Proxies answer so for an instance that is gone. */
const GONE = new Set([502, 503, 504]);

const AGAIN_MS = 5000;

/** Whether what the page shows is live, in honest words. */
export class Connection {
  state = $state<ConnectionState>("connecting");
  way = $state<Way>("socket");
  /** `websocket` or `polling`; undefined without sockets. */
  transport = $state<string | undefined>(undefined);

  private reachable = true;
  private wasLive = false;
  private look = () => {};
  private asking: ReturnType<typeof setTimeout> | undefined;

  /** A fetch that notices whether the server can be reached. */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    try {
      const response = await globalThis.fetch(input, init);
      const now = offline.note(response) && !GONE.has(response.status);
      this.note(now);
      if (!now) this.askAgain();
      return response;
    } catch (error) {
      if (init?.signal?.aborted !== true) {
        this.note(false);
        this.askAgain();
      }
      throw error;
    }
  };

  follow(client: Client): void {
    let before: Way = client.way;
    this.look = () => {
      this.way = client.way;
      this.transport = client.transport;
      // Without sockets only a call tells whether the server is there.
      if (this.way !== before && this.way !== "socket") this.fetch("/api/health").catch(() => {});
      before = this.way;
      const was = this.state;
      this.state = this.judge();
      if (this.state !== "live") return;
      this.wasLive = true;
      if (was !== "live") offline.returned();
    };
    client.watch(this.look);
    addEventListener("online", this.look);
    addEventListener("offline", this.look);
    this.look();
  }

  /** An old answer or none: if the page is live all the same, it is asked for again in a while. */
  private askAgain(): void {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => {
      if (this.state === "live") offline.returned();
    }, AGAIN_MS);
  }

  /** Whether the server is known to be out of reach; not while it is still to be seen. */
  get away(): boolean {
    return this.state === "offline" || this.state === "reconnecting";
  }

  private note(reachable: boolean): void {
    this.reachable = reachable;
    this.look();
  }

  private judge(): ConnectionState {
    const connected = this.way === "socket" ? this.transport !== undefined : this.reachable;
    if (connected) return "live"; // also to a market on this device, which needs no network
    if (!navigator.onLine) return "offline";
    return this.wasLive || !this.reachable ? "reconnecting" : "connecting";
  }
}
