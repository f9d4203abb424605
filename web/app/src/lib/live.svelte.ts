import { type EventOf, RialtoError, type StreamName, type StreamState } from "@rialto/client";
import { untrack } from "svelte";
import { client } from "./market.svelte";

export interface LiveOptions<N extends StreamName, S> {
  /** Folds an event into the state, as a new object. */
  reduce?: (state: S, event: EventOf<N>) => S;
  /** Told of each event after the snapshot, in order, once. */
  onEvent?: (event: EventOf<N>, state: S | undefined) => void;
  /** Told of the state, before the first event. */
  onSnapshot?: (state: S, seq: number) => void;
}

/** A stream as reactive state, followed while the component that made it is there. */
export class Live<N extends StreamName, S = StreamState> {
  /** The state at `seq`; undefined until the stream has answered. */
  state = $state.raw<S | undefined>(undefined);
  seq = $state(0);
  /** `loading` until there is a state; `trouble` while something is tried again; `failed` for good, see `error`. */
  status = $state<"idle" | "loading" | "live" | "trouble" | "failed">("idle");
  error = $state.raw<RialtoError | undefined>(undefined);

  constructor(stream: () => N | undefined, options: LiveOptions<N, S> = {}) {
    // Followed anew only when the name is another.
    const name = $derived(stream());
    $effect(() => {
      const now = name;
      return untrack(() => this.follow(now, options));
    });
  }

  private follow(stream: N | undefined, { reduce, onEvent, onSnapshot }: LiveOptions<N, S>): (() => void) | void {
    this.state = undefined;
    this.error = undefined;
    this.status = stream === undefined ? "idle" : "loading";
    if (stream === undefined) return;
    const subscription = client.subscribe<N, S>(stream, {
      ...(reduce && { reduce }),
      onSnapshot: (state, seq) => {
        this.state = state;
        this.seq = seq;
        this.status = "live";
        onSnapshot?.(state, seq);
      },
      onEvent: (event) => {
        this.state = subscription.state;
        this.seq = event.seq;
        this.status = "live";
        onEvent?.(event, subscription.state);
      },
      onTrouble: (error) => {
        this.status = "trouble";
        this.error = error;
      },
    });
    subscription.closed.catch((error: unknown) => {
      this.status = "failed";
      this.error = error instanceof RialtoError ? error : new RialtoError("BAD_RESPONSE", String(error), false);
    });
    return () => subscription.unsubscribe();
  }
}

/** Follows a stream for as long as the component is there: `const auction = live(() => `auction:${id}`, { reduce })`. */
export const live = <N extends StreamName, S = StreamState>(
  stream: () => N | undefined,
  options?: LiveOptions<N, S>,
): Live<N, S> => new Live(stream, options);
