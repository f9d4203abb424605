import { untrack } from "svelte";
import { offline } from "./offline.svelte";

/** What is fetched once for a view: its value, that it is loading, what went wrong, and how to try again. */
export class Resource<T> {
  value = $state.raw<T | undefined>(undefined);
  error = $state.raw<unknown>(undefined);
  loading = $state(true);
  private stop: AbortController | undefined;

  /**
   * `load` is run again whenever what it reads changes, and when the server is back, since what was shown meanwhile may be old;
   * not for that with `begun`: then it is what somebody goes on from.
   */
  constructor(
    private readonly load: (signal: AbortSignal) => Promise<T>,
    { begun = false } = {},
  ) {
    $effect(() => {
      if (!begun) void offline.returns;
      void this.run();
      return () => this.stop?.abort();
    });
  }

  readonly retry = (): void => void untrack(() => this.run());

  private async run(): Promise<void> {
    this.stop?.abort();
    const { signal } = (this.stop = new AbortController());
    const loading = this.load(signal);
    untrack(() => {
      this.loading = true;
      this.error = undefined;
    });
    try {
      const value = await loading;
      if (!signal.aborted) this.value = value;
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      offline.miss(error);
    } finally {
      if (!signal.aborted) this.loading = false;
    }
  }
}
