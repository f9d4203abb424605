import { RialtoError } from "./errors.js";
import { mayRetry, pause } from "./retry.js";
import type { Routes, Way } from "./routes.js";
import { Sequence } from "./sequence.js";
import type { Sink, StreamEvent } from "./source.js";
import { SseUnusable } from "./sources/sse.js";
import type { StreamState } from "./types.js";
import { abort, abortable, following, sleep } from "./waiting.js";

export interface SubscribeOptions<E, S> {
  /** The last seq that the caller has. Without it, the stream begins with its state as it is now. */
  after?: number;
  /** Folds an event into the state: `subscription.state` is then always that of `subscription.seq`. */
  reduce?: (state: S, event: E) => S;
  /** The state at `after`, for `reduce`. */
  state?: S;
  /** Called with each event, in order. The next one waits until a promise that it returns is settled. */
  onEvent?: (event: E) => unknown;
  /** Called with the state, before the first event; only without `after`. */
  onSnapshot?: (state: S, seq: number) => unknown;
  /** Called with what went wrong and will be tried again. */
  onTrouble?: (error: RialtoError) => void;
  signal?: AbortSignal;
  /** How many events may wait for the reader (1000). What is beyond it is fetched when there is room again. */
  buffer?: number;
}

const BUFFER = 1000;
const MOVED = new RialtoError("DISCONNECTED", "Another transport is to be used", true);

type Item<E, S> = { event: E } | { snapshot: S; seq: number };

/**
 * A stream as it is being followed: an async iterator of its events, each once, in order, without a gap.
 *
 * With `onEvent` or `onSnapshot` it reads itself. It ends by `unsubscribe`, the signal, the client's end, or a failure that
 * can't be mended.
 */
export class Subscription<E extends StreamEvent = StreamEvent, S = StreamState> implements AsyncIterableIterator<E> {
  /** The state at `seq`: the snapshot, with the events since folded in if there is a reducer. */
  state: S | undefined;
  /** The seq of the last event that the reader was given. */
  seq: number | undefined;
  /** Resolves when it has ended as asked, rejects with what it failed with. */
  readonly closed: Promise<void>;

  private readonly sequence: Sequence;
  private readonly items: Item<E, S>[] = [];
  private readonly stop: () => void;
  private readonly buffer: number;
  private readonly waiting = new Set<() => void>();
  private over: { error?: unknown } | undefined;

  constructor(
    readonly stream: string,
    private readonly routes: Routes,
    private readonly options: SubscribeOptions<E, S>,
    parent: AbortSignal,
  ) {
    this.sequence = new Sequence(options.after);
    this.seq = options.after;
    this.state = options.state;
    this.buffer = Math.max(1, options.buffer ?? BUFFER);
    const { controller, release } = following(parent, options.signal);
    this.stop = () => controller.abort();
    const running = this.follow(controller.signal).then(
      () => this.finish({}),
      (error: unknown) => this.finish(controller.signal.aborted ? {} : { error }),
    );
    const reading = options.onEvent || options.onSnapshot ? this.pump() : Promise.resolve();
    this.closed = Promise.all([running.finally(release), reading]).then(() => {
      if (this.over && "error" in this.over) throw this.over.error;
    });
    this.closed.catch(() => {}); // whoever iterates gets it there
  }

  /** Ends it: nothing is delivered any more. */
  unsubscribe(): void {
    this.finish({});
    this.items.length = 0;
    this.stop();
  }

  async next(): Promise<IteratorResult<E, undefined>> {
    for (;;) {
      const item = this.items.shift();
      this.wake();
      if (item === undefined) {
        if (this.over && "error" in this.over) throw this.over.error;
        if (this.over) return { done: true, value: undefined };
        await this.until(() => this.items.length > 0 || this.over !== undefined);
      } else if ("event" in item) {
        this.fold(item.event);
        return { done: false, value: item.event };
      } else {
        this.state = item.snapshot;
        this.seq = item.seq;
        await this.options.onSnapshot?.(item.snapshot, item.seq);
      }
    }
  }

  /** What a `for await` does when it is left. */
  return(): Promise<IteratorResult<E, undefined>> {
    this.unsubscribe();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private async pump(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.next();
        if (done) return;
        await this.options.onEvent?.(value);
      }
    } catch (error) {
      this.finish({ error });
      this.stop();
    }
  }

  private fold(event: E): void {
    const { reduce } = this.options;
    if (reduce !== undefined) this.state = reduce(this.state as S, event);
    this.seq = event.seq;
  }

  /** Has one transport after the other follow the stream, each from where the one before has come to. */
  private async follow(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      await this.until(() => this.items.length <= this.buffer / 2, signal);
      const before = this.sequence.last;
      const way = this.routes.way;
      let trouble: unknown;
      try {
        await this.followBy(way, signal);
      } catch (error) {
        if (error === MOVED) continue;
        if (error instanceof SseUnusable) this.routes.sseUnusable = true;
        if (signal.aborted || !mayRetry(error)) throw error;
        trouble = error;
        this.options.onTrouble?.(error as RialtoError);
      }
      const progress = this.sequence.last !== before;
      if (progress) failures = 0;
      if (progress && trouble === undefined) continue;
      failures += 1;
      await sleep(pause(failures, trouble), signal);
    }
  }

  private async followBy(way: Way, signal: AbortSignal): Promise<void> {
    const { controller, release } = following(signal);
    const look = () => this.routes.way !== way && abort(controller, MOVED);
    const unwatch = this.routes.watch(look);
    try {
      await this.routes.source(way, this.stream)(this.sink, controller.signal);
    } finally {
      unwatch();
      release();
    }
  }

  private readonly sink: Sink = ((subscription: Subscription<E, S>): Sink => ({
    get stream() {
      return subscription.stream;
    },
    get last() {
      return subscription.sequence.last;
    },
    get room() {
      return Math.max(0, subscription.buffer - subscription.items.length);
    },
    snapshot(state, seq) {
      subscription.sequence.last = seq;
      subscription.items.push({ snapshot: state as S, seq });
      subscription.wake();
    },
    take(events) {
      if (subscription.over) return false;
      const { fresh, gap, rest } = subscription.sequence.next(events, this.room);
      for (const event of fresh) subscription.items.push({ event: event as E });
      if (fresh.length > 0) subscription.wake();
      return !gap && !rest;
    },
  }))(this);

  private finish(over: { error?: unknown }): void {
    this.over ??= over;
    this.wake();
  }

  private until(look: () => boolean, signal?: AbortSignal): Promise<void> {
    if (look()) return Promise.resolve();
    return abortable(signal, (resolve) => {
      const check = () => look() && resolve();
      this.waiting.add(check);
      return () => this.waiting.delete(check);
    });
  }

  private wake(): void {
    for (const check of [...this.waiting]) check();
  }
}
