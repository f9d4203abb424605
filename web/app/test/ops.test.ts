import { describe, expect, test } from "vitest";
import { duration } from "../src/pages/ops/format";
import { History, type Operations, type Process } from "../src/pages/ops/history";

const at = (second: number) => new Date(Date.UTC(2026, 10, 21, 10, 0, second)).toISOString();

function process(name: string, second: number, changes: Partial<Process> = {}): Process {
  return {
    name,
    role: "web",
    release: "1.0.0",
    t: at(second),
    started_at: at(0),
    uptime_s: second,
    ready: true,
    draining: false,
    mongodb_up: true,
    redis_up: true,
    sockets: 3,
    users: 2,
    subscriptions: 5,
    bids: 0,
    commands: 0,
    commits: { count: 0, seconds: 0, p50_ms: null, p95_ms: null },
    deliveries: 0,
    slow_clients: 0,
    loop_lag_ms: 0,
    memory_bytes: 1,
    clock_error_ms: 0,
    followers: [],
    ...changes,
  };
}

function look(second: number, processes: Process[], complete = true): Operations {
  return {
    t: at(second),
    answered_by: "web-1",
    complete,
    redis: { up: complete, latency_ms: 1 },
    mongodb: { up: true, latency_ms: 1, primary: "127.0.0.1:27017" },
    processes,
  };
}

describe("the history of operations", () => {
  test("rates are differences over the process' own time", () => {
    const history = History.empty
      .with(look(2, [process("web-1", 1, { bids: 10 })]), 10)
      .with(look(4, [process("web-1", 3, { bids: 16 })]), 10);
    expect(history.values("web-1", "bids")).toEqual([null, 3]);
    expect(history.times).toHaveLength(2);
  });

  test("a process that was started anew has no rate over its end", () => {
    const history = History.empty
      .with(look(2, [process("web-1", 2, { bids: 10 })]), 10)
      .with(look(9, [process("web-1", 9, { bids: 1, started_at: at(8) })]), 10)
      .with(look(10, [process("web-1", 10, { bids: 3, started_at: at(8) })]), 10);
    expect(history.values("web-1", "bids")).toEqual([null, null, 2]);
    expect(history.known[0]?.restarted_at).toBe(at(8));
  });

  test("a process that disappears is gone, with a gap in its line, and forgotten after a while", () => {
    let history = History.empty.with(look(2, [process("web-1", 2), process("web-2", 2)]), 3);
    history = history.with(look(4, [process("web-1", 4)]), 3);
    expect(history.known.map(({ name, presence }) => [name, presence])).toEqual([
      ["web-1", "here"],
      ["web-2", "gone"],
    ]);
    expect(history.values("web-2", "sockets")).toEqual([3, null]);
    for (const second of [6, 8]) history = history.with(look(second, [process("web-1", second)]), 3);
    expect(history.known.map(({ name }) => name)).toEqual(["web-1"]);
  });

  test("with Redis away the others are not known, rather than gone", () => {
    const history = History.empty
      .with(look(2, [process("web-1", 2), process("web-2", 2)]), 5)
      .with(look(4, [process("web-1", 4)], false), 5);
    expect(history.known[1]?.presence).toBe("unknown");
  });

  test("one that comes later has nothing before, and an answer of the past changes nothing", () => {
    const history = History.empty
      .with(look(2, [process("web-1", 2)]), 5)
      .with(look(4, [process("web-1", 4), process("web-2", 4)]), 5);
    expect(history.values("web-2", "sockets")).toEqual([null, 3]);
    expect(history.with(look(3, []), 5)).toBe(history);
  });
});

test("durations are told in two units at most", () => {
  expect([5, 130, 3_660, 100_000].map(duration)).toEqual(["5 s", "2 min", "1 h 1 min", "1 d 3 h"]);
});
