import { client } from "./market.svelte";

/** The market's time, to the second, for all countdowns of the page: one timer, which stops while nobody sees the page. */
class Now {
  /** ms since the epoch by the server's clock. */
  value = $state(client.clock.now());
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    document.addEventListener("visibilitychange", () => this.tick());
    this.tick();
  }

  private tick(): void {
    clearTimeout(this.timer);
    this.value = client.clock.now();
    // On the full second, so that all countdowns of all readers change together.
    if (!document.hidden) this.timer = setTimeout(() => this.tick(), 1000 - (this.value % 1000) + 5);
  }
}

export const now = new Now();
