import type { AuctionEvent } from "@rialto/client";

export interface Point {
  seq: number;
  /** ms */
  t: number;
  /** Null while no bid counts. */
  price: number | null;
  /** Who leads after it; only of bids. */
  leader?: string;
}

/** Where the price stood after each event that says it. */
export function pricePoints(events: readonly AuctionEvent[]): Point[] {
  const points: Point[] = [];
  for (const event of events) {
    if (!("price" in event) || event.price === undefined || event.type === "closed") continue;
    points.push({
      seq: event.seq,
      t: Date.parse(event.t),
      price: event.price,
      ...(event.type === "bid" && { leader: event.leader }),
    });
  }
  return points;
}

export interface Scale {
  from: number;
  to: number;
  at: (value: number) => number;
}

/** Maps values onto pixels; a single value lies in the middle. */
export function scale([from, to]: readonly [number, number], [start, end]: readonly [number, number]): Scale {
  const at = (value: number) =>
    from === to ? (start + end) / 2 : start + ((value - from) / (to - from)) * (end - start);
  return { from, to, at };
}

/** A line in steps: a price holds until the next one. It is interrupted while there is none. */
export function stepPath(points: readonly Point[], until: number, x: Scale, y: Scale): string {
  const one = (value: number) => value.toFixed(1);
  let path = "";
  let last: number | null = null;
  for (const { t, price } of points) {
    if (last !== null) path += `H${one(x.at(t))}`;
    if (price !== null) path += last === null ? `M${one(x.at(t))} ${one(y.at(price))}` : `V${one(y.at(price))}`;
    last = price;
  }
  return last === null ? path : `${path}H${one(x.at(until))}`;
}

/** At most `most` round values within a range. */
export function ticks(from: number, to: number, most = 4): number[] {
  if (to <= from) return [from];
  const rough = (to - from) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((one) => one >= rough) ?? 10 * size);
  const found: number[] = [];
  for (let value = Math.ceil(from / step) * step; value <= to; value += step) found.push(Math.round(value));
  return found;
}

/** Whether nearly all points lie within a small part of the time, so that a chart by time would show a cliff and nothing else. */
export function bunched(points: readonly Point[], until: number): boolean {
  const first = points[0]?.t ?? until;
  const tenth = points[Math.floor(points.length * 0.9) - 1]?.t ?? until;
  return points.length > 3 && tenth - first < (until - first) * 0.1;
}
