import { client } from "$lib/market.svelte";

/** The server forgets after five seconds, and tells others once a second at most. */
const EVERY_MS = 3000;

/** Tells a room that its reader types. Nothing is tried again: it would be late. */
export class Typing {
  private told = 0;

  constructor(private readonly room: string) {}

  go(): void {
    if (performance.now() - this.told < EVERY_MS && this.told > 0) return;
    this.told = performance.now();
    client.typing({ room: this.room, on: true }).catch(() => {});
  }

  stop(): void {
    if (this.told === 0) return;
    this.told = 0;
    client.typing({ room: this.room, on: false }).catch(() => {});
  }
}
