import { later } from "./waiting.js";

/** One reading of the server's clock: the server's times between two of ours, all in ms. */
export interface Sample {
  t0: number;
  t1: number;
  t2: number;
  t3: number;
}

export interface Offset {
  /** Server minus local. */
  offset_ms: number;
  /** How far it may be off. */
  error_ms: number;
}

/** The server cuts its times to whole milliseconds. */
const GRAIN_MS = 1;
/** How far two clocks may drift apart: 50 ppm. */
const DRIFT = 50e-6;
const SAMPLES = 5;
const EVERY_MS = 60_000;

/** What a sample says: half of the round trip bounds the error, whatever the two ways took. */
export function judge({ t0, t1, t2, t3 }: Sample): Offset {
  return { offset_ms: (t1 - t0 + (t2 - t3)) / 2, error_ms: Math.max(0, t3 - t0 - (t2 - t1)) / 2 + GRAIN_MS };
}

/** The sample with the least error. */
export function best(offsets: readonly Offset[]): Offset | undefined {
  return offsets.reduce<Offset | undefined>(
    (one, other) => (one && one.error_ms <= other.error_ms ? one : other),
    undefined,
  );
}

/** The market's time, as told by `sync_time`. It does not follow steps of this machine's own clock. */
export class ServerClock {
  private known: (Offset & { at: number }) | undefined;
  private stop = () => {};
  private closed = false;

  constructor(
    private readonly ask: (t0: number) => Promise<{ t1: number; t2: number }>,
    private readonly local: () => number,
  ) {}

  /** Whether `now` is more than this machine's own time. */
  get synchronised(): boolean {
    return this.known !== undefined;
  }

  /** Server time minus local time, ms. */
  get offset_ms(): number {
    return this.known?.offset_ms ?? 0;
  }

  /** How far `now` may be off the server's clock; infinite before the first `sync`. */
  get error_ms(): number {
    return this.known
      ? this.known.error_ms + Math.max(0, this.local() - this.known.at) * DRIFT
      : Number.POSITIVE_INFINITY;
  }

  /** The market's time: ms since the epoch. */
  now(): number {
    return this.local() + this.offset_ms;
  }

  /** Compares the clocks now, and again every minute from now on. */
  async sync(samples = SAMPLES): Promise<Offset> {
    const offsets: Offset[] = [];
    for (let n = 0; n < Math.max(SAMPLES, samples); n++) {
      const t0 = this.local();
      const { t1, t2 } = await this.ask(t0);
      offsets.push(judge({ t0, t1, t2, t3: this.local() }));
    }
    const found = best(offsets) as Offset;
    // A machine that was asleep may have stopped its clock: then the two can't both be right.
    const contradicted = Math.abs(found.offset_ms - this.offset_ms) > found.error_ms + this.error_ms;
    if (contradicted || found.error_ms <= this.error_ms) this.known = { ...found, at: this.local() };
    this.again();
    return { offset_ms: this.offset_ms, error_ms: this.error_ms };
  }

  close(): void {
    this.closed = true;
    this.stop();
  }

  private again(): void {
    this.stop();
    if (this.closed) return;
    this.stop = later(EVERY_MS, () => void this.sync().catch(() => this.again()));
  }
}
