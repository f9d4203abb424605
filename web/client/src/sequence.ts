/** What every event has. */
export interface Sequenced {
  seq: number;
}

/**
 * The order of a stream's events, from whatever transport they come: each seq once, without a gap.
 *
 * `last` is the seq up to which everything is known; undefined until a snapshot tells.
 */
export class Sequence {
  constructor(public last: number | undefined) {}

  /**
   * The events that come next. Those known already are dropped; from a gap on nothing is taken.
   *
   * `most` bounds how many are taken. `gap` and `rest` tell why some were not, both of which are had by reading again
   * after `last`.
   */
  next<E extends Sequenced>(events: readonly E[], most: number): { fresh: E[]; gap: boolean; rest: boolean } {
    const fresh: E[] = [];
    for (const event of events) {
      if (this.last !== undefined && event.seq <= this.last) continue;
      if (this.last === undefined || event.seq !== this.last + 1) return { fresh, gap: true, rest: false };
      if (fresh.length === most) return { fresh, gap: false, rest: true };
      fresh.push(event);
      this.last = event.seq;
    }
    return { fresh, gap: false, rest: false };
  }
}
