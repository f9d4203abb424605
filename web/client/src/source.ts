import type { StreamState } from "./types.js";

/** What a transport hands over: events as they came, to be put in order. */
export interface StreamEvent {
  seq: number;
  t: string;
  type: string;
}

/** Where a transport hands them over. */
export interface Sink {
  readonly stream: string;
  /** The seq up to which everything is there; undefined asks for the state first. */
  readonly last: number | undefined;
  /** How many more events it takes. */
  readonly room: number;
  snapshot(state: StreamState, seq: number): void;
  /** Whether it took all. If not, the transport ends and is begun again, after `last`, when there is room. */
  take(events: readonly StreamEvent[]): boolean;
}

/**
 * A way to follow a stream: begins after `sink.last`, and goes on until the signal ends it.
 *
 * Resolves to be begun again at once, rejects with what went wrong.
 */
export type Source = (sink: Sink, signal: AbortSignal) => Promise<void>;
