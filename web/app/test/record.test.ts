import { describe, expect, it } from "vitest";
import { canonicalJson } from "../src/pages/job/record/chain";
import { type Expected, verify } from "../src/pages/job/record/verify";
import type { OwnBid } from "../src/pages/job/types";
// Logs that a real server has exported, and what it told one of the bidders.
import told from "./logs/own.json?raw";
import reserve from "./logs/reserve.jsonl?raw";
import sealed from "./logs/sealed.jsonl?raw";
import words from "./logs/words.jsonl?raw";

const own = JSON.parse(told) as OwnBid[];
const nothing: Expected = { seen: new Map(), own: [], open: true };
const lines = (text: string) => text.trimEnd().split("\n");
const joined = (all: string[]) => `${all.join("\n")}\n`;
const hashes = (text: string) =>
  new Map(
    lines(text)
      .map((line) => JSON.parse(line) as { seq: number; hash: string })
      .map(({ seq, hash }) => [seq, hash]),
  );

describe("logs of a real server", () => {
  it.each([reserve, sealed, words])("holds", async (text) => {
    const report = await verify(text, { ...nothing, seen: hashes(text), open: text !== sealed });
    expect(report.broken).toBeUndefined();
    expect(report.events).toBe(lines(text).length);
    expect(report.compared).toBe(report.events);
    expect(report.head).toBe([...hashes(text).values()].at(-1));
  });

  it("checks the reserve against its commitment", async () => {
    expect((await verify(reserve, nothing)).reserve).toBe("kept");
    expect((await verify(words, nothing)).reserve).toBe("none");
    const [opened = ""] = lines(reserve);
    expect((await verify(joined([opened]), nothing)).reserve).toBe("hidden");
  });

  it("finds the reader's own bids, exact and automatic", async () => {
    const report = await verify(words, { ...nothing, own });
    expect(report).toMatchObject({ own: own.length, automatic: own.filter(({ kind }) => kind === "auto").length });
    expect(report.broken).toBeUndefined();
  });
});

describe("a log that was tampered with", () => {
  const good = lines(words);
  const brokenAt = async (all: string[], expected: Partial<Expected> = {}) =>
    (await verify(joined(all), { ...nothing, ...expected })).broken?.seq;

  it("names the event that was altered", async () => {
    for (const [index, line] of good.entries()) {
      const altered = good.with(
        index,
        line.replace(/"t":"(\d{4})/, (_, year: string) => `"t":"${Number(year) + 1}`),
      );
      expect(await brokenAt(altered)).toBe(index + 1);
    }
  });

  it("notices what was taken out, put in, swapped, cut off at its beginning, or emptied", async () => {
    expect(await brokenAt(good.toSpliced(1, 1))).toBe(2);
    expect(await brokenAt(good.toSpliced(2, 0, good[1] as string))).toBe(3);
    expect(await brokenAt(good.with(1, good[2] as string).with(2, good[1] as string))).toBe(2);
    expect(await brokenAt(good.slice(1))).toBe(1);
    expect((await verify("", nothing)).broken?.seq).toBe(1);
  });

  it("notices what was cut off at its end, by what was seen live", async () => {
    const cut = good.slice(0, -1);
    expect(await brokenAt(cut)).toBeUndefined();
    expect(await brokenAt(cut, { seen: hashes(joined(good)) })).toBe(good.length);
  });

  it("notices another history whose hashes fit", async () => {
    const seen = new Map([[2, "ab".repeat(32)]]);
    expect(await brokenAt(good, { seen })).toBe(2);
  });

  it("notices that a bid of the reader's own is another, or isn't there", async () => {
    const [bid] = own;
    if (bid === undefined) throw new Error("the reader has bid");
    expect(await brokenAt(good, { own: [{ ...bid, kind: "exact", amount: 1 }] })).toBe(bid.seq);
    expect(await brokenAt(good, { own: [{ ...bid, seq: 1000 }] })).toBe(1000);
  });

  it("refuses what two readers could read differently", async () => {
    const first = good[0] as string;
    for (const line of [
      first.replace('"seq":1', '"seq":1.0'),
      first.replace('"seq":1', '"seq":1,"seq":1'),
      first.replace('"seq":1', '"seq": 1'),
      first.replace('"type":"opened"', String.raw`"type":"\u006fpened"`),
      ` ${first}`,
      "[]",
      "null",
      "{}",
      "{",
    ])
      expect(await brokenAt(good.with(0, line))).toBe(1);
  });
});

describe("canonical JSON", () => {
  it("sorts keys by code points, as the server does", () => {
    expect(canonicalJson({ "\ufffd": 1, "\u{1f600}": 2, b: [{ d: null, c: true }], a: 'é\u2028\t"' })).toBe(
      '{"a":"é\u2028\\t\\"","b":[{"c":true,"d":null}],"\ufffd":1,"\u{1f600}":2}',
    );
  });
});
