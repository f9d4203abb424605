import type { Schemas } from "@rialto/client";
import { SvelteSet } from "svelte/reactivity";
import { rest } from "$lib/market.svelte";

interface Page {
  items: Schemas["BlockOut"][];
  next_cursor?: string | null;
}

/** Whom the reader has blocked. */
class Blocks {
  private readonly users = new SvelteSet<string>();
  private loaded: Promise<void> | undefined;

  has(user: string): boolean {
    return this.users.has(user);
  }

  load(): Promise<void> {
    this.loaded ??= this.fetch().catch(() => {
      this.loaded = undefined; // the server refuses what is blocked anyway
    });
    return this.loaded;
  }

  async add(user: string): Promise<void> {
    await rest("POST", "/blocks", { body: { user } });
    this.users.add(user);
  }

  async remove(user: string): Promise<void> {
    await rest("DELETE", `/blocks/${encodeURIComponent(user)}`);
    this.users.delete(user);
  }

  private async fetch(): Promise<void> {
    let cursor = "";
    do {
      const page = await rest<Page>("GET", `/blocks?limit=100${cursor}`);
      for (const { user } of page.items) this.users.add(user);
      cursor = page.next_cursor ? `&cursor=${encodeURIComponent(page.next_cursor)}` : "";
    } while (cursor !== "");
  }
}

export const blocks = new Blocks();
