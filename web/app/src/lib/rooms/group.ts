import type { Item } from "./fold";

/** After so long a silence somebody's name and picture stand again. */
const PAUSE_MS = 10 * 60_000;

export interface Run {
  /** The seq of its first message. */
  key: number;
  user: string;
  items: Item[];
}

export interface Day {
  /** The first moment of it that something was said. */
  t: string;
  key: string;
  runs: Run[];
}

const dayOf = (t: string): string => new Date(t).toDateString();

/**
 * Messages by day of the reader's zone, and by sender: what one says in a row stands together.
 *
 * @param divider seq of the message before which a run has to end, since a line stands there
 */
export function group(items: readonly Item[], divider?: number): Day[] {
  const days: Day[] = [];
  let before: Item | undefined;
  for (const item of items) {
    const key = dayOf(item.t);
    let day = days.at(-1);
    const anotherDay = day?.key !== key;
    if (day === undefined || anotherDay) {
      day = { t: item.t, key, runs: [] };
      days.push(day);
    }
    const run = day.runs.at(-1);
    const goesOn =
      run?.user === item.user &&
      item.seq !== divider &&
      before !== undefined &&
      Date.parse(item.t) - Date.parse(before.t) < PAUSE_MS;
    if (run && goesOn) run.items.push(item);
    else day.runs.push({ key: item.seq, user: item.user, items: [item] });
    before = item;
  }
  return days;
}
