import type { Message, Outbox, RialtoError, Sent } from "@rialto/client";

/** A message on its way: in the outbox, or taken by the server and not back in the room's stream yet. */
export interface Departing {
  key: number;
  message: Message;
  /** ms since the epoch, of this device; undefined for what an earlier run left. */
  at: number | undefined;
  /** In the room, once the server has taken it. */
  seq?: number;
}

/** A message that the server refused for good. */
export interface Refused {
  key: number;
  message: Message;
  code: string;
  text: string;
  details: Record<string, unknown>;
}

/** What the outbox doesn't keep: which messages were refused, and which were taken but not seen in the room yet. */
export class Outgoing {
  departing = $state.raw<readonly Departing[]>([]);
  refused = $state.raw<readonly Refused[]>([]);
  /** How far rooms were shown: a room may have a message before the ack of it is here. */
  private readonly reached = new Map<string, number>();
  private keys = 0;
  private of: string | undefined;

  /** @param whose the id of who is signed in, for refusals are kept until they are dealt with. */
  constructor(private readonly whose: () => string | undefined) {}

  /** Takes over what earlier runs have left. */
  resume(outbox: Outbox): void {
    const known = new Set(this.departing.map(({ message }) => message));
    const left = outbox.pending.filter((message) => !known.has(message));
    this.departing = [...left.map((message) => ({ key: ++this.keys, message, at: undefined })), ...this.departing];
    this.open();
  }

  push(outbox: Outbox, message: Message): void {
    this.departing = [...this.departing, { key: ++this.keys, message, at: Date.now() }];
    outbox.push(message).catch(() => {}); // told by `wasRefused`
  }

  /** For the client's `onSent`. */
  wasSent(message: Message, sent: Sent): void {
    this.departing = this.departing.map((one) => (one.message === message ? { ...one, seq: sent.seq } : one));
    this.clear(message.room);
  }

  /** For the client's `onRefused`. */
  wasRefused(message: Message, { code, message: text, details }: RialtoError): void {
    this.departing = this.departing.filter((one) => one.message !== message);
    this.open();
    this.refused = [...this.refused, { key: ++this.keys, message, code, text, details }];
    this.keep();
  }

  /** Whether that is one of ours, back from the room before the ack: then it isn't shown twice. */
  arrived(room: string, seq: number, text: string, reply_to: number | undefined): void {
    if (this.departing.some((one) => one.message.room === room && one.seq === seq)) return;
    const match = this.departing.find(
      ({ message, ...one }) =>
        message.room === room &&
        one.seq === undefined &&
        message.text === text &&
        (message.reply_to ?? undefined) === reply_to,
    );
    this.departing = this.departing.map((one) => (one === match ? { ...one, seq } : one));
  }

  /** Everything up to a seq of a room is shown there. */
  shown(room: string, seq: number): void {
    this.reached.set(room, seq);
    this.clear(room);
  }

  private clear(room: string): void {
    const reached = this.reached.get(room) ?? 0;
    const isThere = ({ message, seq }: Departing) => message.room === room && seq !== undefined && seq <= reached;
    if (this.departing.some(isThere)) this.departing = this.departing.filter((one) => !isThere(one));
  }

  /** Drops a refused message. */
  discard(refused: Refused): void {
    this.refused = this.refused.filter(({ key }) => key !== refused.key);
    this.keep();
  }

  /** Reads what is kept of whoever is signed in, once. */
  private open(): void {
    if (this.of === this.whose()) return;
    this.of = this.whose();
    this.refused = this.kept();
  }

  private get name(): string {
    return `rialto.refused.${this.whose() ?? ""}`;
  }

  private keep(): void {
    if (this.refused.length === 0) localStorage.removeItem(this.name);
    else localStorage.setItem(this.name, JSON.stringify(this.refused));
  }

  private kept(): readonly Refused[] {
    try {
      const refused = JSON.parse(localStorage.getItem(this.name) ?? "[]") as Refused[];
      return refused.map((one) => ({ ...one, key: ++this.keys }));
    } catch {
      return [];
    }
  }
}
