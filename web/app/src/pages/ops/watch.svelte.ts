import { connection, rest } from "$lib/market.svelte";
import { History, type Operations } from "./history";

const EVERY_MS = 2000;
/** Looks that are kept: five minutes. */
const MOST = 150;

/** Looks at the operations every two seconds, while somebody sees the page. */
export class Watch {
  /** The last answer. */
  now = $state.raw<Operations | undefined>(undefined);
  history = $state.raw(History.empty);
  error = $state.raw<unknown>(undefined);
  paused = $state(false);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stop: AbortController | undefined;

  constructor() {
    $effect(() => {
      const look = () => {
        if (document.hidden) this.halt();
        else if (this.stop === undefined) void this.look();
      };
      if (this.paused) return this.halt();
      document.addEventListener("visibilitychange", look);
      look();
      return () => {
        document.removeEventListener("visibilitychange", look);
        this.halt();
      };
    });
  }

  private halt(): void {
    clearTimeout(this.timer);
    this.stop?.abort();
    this.stop = undefined;
  }

  private async look(): Promise<void> {
    const { signal } = (this.stop = new AbortController());
    try {
      const now = await rest<Operations>("GET", "/operations", { signal });
      this.now = now;
      this.history = this.history.with(now, MOST);
      this.error = undefined;
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
    }
    if (!signal.aborted) this.timer = setTimeout(() => void this.look(), EVERY_MS);
  }

  /** Whether what is shown is of a moment that has passed. */
  get stale(): boolean {
    return this.now !== undefined && (this.error !== undefined || connection.state === "offline");
  }
}
