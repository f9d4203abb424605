import type { Schemas } from "@rialto/client";

export type Operations = Schemas["OperationsOut"];
export type Process = Schemas["ProcessFigures"];

/** What is charted of a process at a moment; null where it said nothing that it can be told from. */
export interface Rates {
  bids: number | null;
  deliveries: number | null;
  commands: number | null;
  commit_ms: number | null;
  sockets: number | null;
  subscriptions: number | null;
  lag_s: number | null;
  loop_ms: number | null;
  memory: number | null;
}

/**
 * `here`: heard of at the last look. `gone`: not any more, so it has ended or hangs. `unknown`: the last look couldn't tell, since the
 * answering instance knew of itself alone.
 */
export type Presence = "here" | "gone" | "unknown";

export interface Known {
  name: string;
  /** What it said last. */
  last: Process;
  presence: Presence;
  /** When it was started anew, by another `started_at` under the same name. */
  restarted_at: string | undefined;
}

const NONE: Rates = {
  bids: null,
  deliveries: null,
  commands: null,
  commit_ms: null,
  sockets: null,
  subscriptions: null,
  lag_s: null,
  loop_ms: null,
  memory: null,
};

/** What was seen lately of every process: figures as they were told, and rates from the differences of counters. */
export class History {
  /** Seconds since the epoch, by the server's clock. */
  readonly times: readonly number[];
  readonly known: readonly Known[];
  private readonly rows: ReadonlyMap<string, readonly Rates[]>;

  private constructor(times: readonly number[], known: readonly Known[], rows: ReadonlyMap<string, readonly Rates[]>) {
    this.times = times;
    this.known = known;
    this.rows = rows;
  }

  static readonly empty = new History([], [], new Map());

  /** A history with one more look; what is older than `most` looks is forgotten, processes that are gone for so long too. */
  with(look: Operations, most: number): History {
    const at = Date.parse(look.t) / 1000;
    if (at <= (this.times.at(-1) ?? -Infinity)) return this;
    const told = new Map(look.processes.map((process) => [process.name, process]));
    const before = new Map(this.known.map((one) => [one.name, one]));
    const known: Known[] = [];
    const rows = new Map<string, readonly Rates[]>();
    for (const name of [...new Set([...before.keys(), ...told.keys()])].sort()) {
      const old = before.get(name);
      const now = told.get(name);
      const row = [
        ...(this.rows.get(name) ?? this.times.map(() => NONE)),
        now === undefined ? NONE : rates(old?.last, now),
      ].slice(-most);
      const last = now ?? old?.last;
      if (last === undefined || (now === undefined && row.every((one) => one === NONE))) continue;
      const anew = old !== undefined && now !== undefined && now.started_at !== old.last.started_at;
      const presence = now !== undefined ? "here" : look.complete ? "gone" : "unknown";
      known.push({ name, last, presence, restarted_at: anew ? now.started_at : old?.restarted_at });
      rows.set(name, row);
    }
    return new History([...this.times, at].slice(-most), known, rows);
  }

  /** A line of a chart. */
  values(name: string, figure: keyof Rates): (number | null)[] {
    return (this.rows.get(name) ?? []).map((row) => row[figure]);
  }

  /** What a process was last seen to do. */
  latest(name: string): Rates {
    return this.rows.get(name)?.at(-1) ?? NONE;
  }
}

function rates(before: Process | undefined, now: Process): Rates {
  const seconds = before === undefined ? 0 : (Date.parse(now.t) - Date.parse(before.t)) / 1000;
  const same = before !== undefined && before.started_at === now.started_at && seconds > 0;
  const rate = (figure: "bids" | "deliveries" | "commands") =>
    same ? Math.max(0, now[figure] - before[figure]) / seconds : null;
  return {
    bids: rate("bids"),
    deliveries: rate("deliveries"),
    commands: rate("commands"),
    commit_ms: now.commits.p95_ms,
    sockets: now.sockets,
    subscriptions: now.subscriptions,
    lag_s: now.followers.length === 0 ? null : Math.max(...now.followers.map(({ lag_s }) => lag_s)),
    loop_ms: now.loop_lag_ms,
    memory: now.memory_bytes,
  };
}
