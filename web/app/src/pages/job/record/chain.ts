/**
 * The hash chain of an auction's log: each event carries SHA-256(the hash before it || its own canonical JSON without `hash`).
 *
 * Canonical JSON has sorted keys and no spaces, and an event travels as it was hashed, with `hash` put at its end. So a line must be exactly
 * that: what two readers could read differently, such as a key that appears twice or 1.0 for 1, is refused.
 */

export const GENESIS = "00".repeat(32);

/** What a public log holds, as far as it is looked at here. */
export interface LoggedEvent {
  seq: number;
  t: string;
  type: string;
  [field: string]: unknown;
}

export interface Link {
  event: LoggedEvent;
  hash: string;
}

/** The reason why a log is wrong. */
export class Broken extends Error {
  constructor(
    readonly seq: number,
    reason: string,
  ) {
    super(reason);
  }
}

const HASH = /^[0-9a-f]{64}$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** Sorted keys, no spaces; `JSON.stringify` escapes the same as the server: quotes, backslashes and control characters. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .sort(([one], [other]) => byCodePoint(one, other))
    .map(([name, of]) => `${JSON.stringify(name)}:${canonicalJson(of)}`);
  return `{${fields.join(",")}}`;
}

/** Strings of JavaScript compare by UTF-16 units, which puts U+1F600 before U+FFFD. */
function byCodePoint(one: string, other: string): number {
  const left = Array.from(one);
  const right = Array.from(other);
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const difference = (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Takes the lines of a log one after the other; throws `Broken` at the first that is wrong. */
export class Chain {
  head = GENESIS;
  length = 0;
  private t = "";

  async take(line: string): Promise<Link> {
    const due = this.length + 1;
    const { event, hash, body } = read(line, due);
    if (event.seq !== due) throw new Broken(due, `number ${JSON.stringify(event.seq)} stands where ${due} is due`);
    if (typeof event.t !== "string" || !TIME.test(event.t)) throw new Broken(due, "its time is not one");
    if (event.t < this.t) throw new Broken(due, "its time is before that of the event before it");
    if (typeof event.type !== "string") throw new Broken(due, "it doesn't say what happened");
    if (hex(await sha256(unhex(this.head), utf8(body))) !== hash)
      throw new Broken(due, "its hash doesn't match: it was altered, or an event before it was put in or taken out");
    this.head = hash;
    this.length = due;
    this.t = event.t;
    return { event, hash };
  }
}

function read(line: string, seq: number): { event: LoggedEvent; hash: string; body: string } {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch {
    throw new Broken(seq, "the line is not JSON");
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields))
    throw new Broken(seq, "the line is not an event");
  const { hash, ...event } = fields as Record<string, unknown>;
  if (typeof hash !== "string" || !HASH.test(hash)) throw new Broken(seq, "it has no hash");
  const body = canonicalJson(event);
  const comma = Object.keys(event).length > 0 ? "," : "";
  if (`${body.slice(0, -1)}${comma}"hash":"${hash}"}` !== line)
    throw new Broken(seq, "the line is not written in the one way that is hashed");
  return { event: event as LoggedEvent, hash, body };
}

/** Whether a reserve and its salt, both told at the close, are what was committed to at the opening. */
export async function reserveMatches(commitment: string, salt: string, amount: number): Promise<boolean> {
  return HASH.test(salt) && hex(await sha256(unhex(salt), utf8(String(amount)))) === commitment;
}

async function sha256(first: Uint8Array, second: Uint8Array): Promise<Uint8Array> {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

const encoder = new TextEncoder();
const utf8 = (text: string) => encoder.encode(text);
const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
