import { untrack } from "svelte";
import { rest } from "./market.svelte";
import { offline } from "./offline.svelte";

interface Listed<T> {
  items: T[];
  next_cursor?: string | null;
}

/** A list that is fetched page by page: begun anew whenever its path changes. */
export class Pages<T> {
  items = $state.raw<readonly T[]>([]);
  /** The cursor of what comes next; undefined at the end. */
  next = $state<string | undefined>(undefined);
  /** Whether the first page isn't there yet. */
  first = $state(true);
  loading = $state(true);
  error = $state.raw<unknown>(undefined);
  private stop: AbortController | undefined;

  /** @param path such as `/jobs?limit=20`, which may read state. */
  constructor(
    private readonly path: () => string,
    private readonly id: (item: T) => string | number,
  ) {
    $effect(() => {
      const begun = path();
      void offline.returns; // what was shown meanwhile may be old
      untrack(() => void this.begin(begun));
      return () => this.stop?.abort();
    });
  }

  /** Fetches the first page anew; what is shown stays until it is there. */
  readonly reload = (): void => void this.begin(untrack(this.path));

  async more(): Promise<void> {
    if (this.loading || this.next === undefined) return;
    const path = this.path();
    const page = await this.fetch(`${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(this.next)}`);
    if (page === undefined) return;
    const known = new Set(this.items.map(this.id));
    this.items = [...this.items, ...page.items.filter((item) => !known.has(this.id(item)))];
  }

  private async begin(path: string): Promise<void> {
    this.stop?.abort();
    this.next = undefined;
    const page = await this.fetch(path);
    if (page === undefined) return;
    this.items = page.items;
    this.first = false;
  }

  private async fetch(path: string): Promise<Listed<T> | undefined> {
    const { signal } = (this.stop = new AbortController());
    this.loading = true;
    this.error = undefined;
    try {
      const page = await rest<Listed<T>>("GET", path, { signal });
      if (signal.aborted) return undefined;
      this.next = page.next_cursor ?? undefined;
      return page;
    } catch (error) {
      if (signal.aborted) return undefined;
      this.error = error;
      offline.miss(error);
      return undefined;
    } finally {
      if (!signal.aborted) this.loading = false;
    }
  }
}
