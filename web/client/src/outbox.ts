import type { CommandTypes } from "./commands.js";
import { RialtoError } from "./errors.js";
import { newKey } from "./keys.js";
import { reasonOf, throwIfAborted } from "./waiting.js";

/** Where the outbox is kept between runs: any store of strings, such as AsyncStorage or a file. */
export interface Storage {
  getItem(name: string): Promise<string | null> | string | null;
  setItem(name: string, value: string): Promise<void> | void;
}

export type Message = CommandTypes["send"]["body"];
export type Sent = CommandTypes["send"]["answer"];

interface Entry {
  key: string;
  message: Message;
}

interface Waiting extends Entry {
  resolve?: (sent: Sent) => void;
  reject?: (error: unknown) => void;
}

export interface OutboxHooks {
  /** A message of this or an earlier run was sent. */
  onSent?: ((message: Message, sent: Sent) => void) | undefined;
  /** The server has refused a message for good; those after it go on. */
  onRefused?: ((message: Message, error: RialtoError) => void) | undefined;
}

const NAME = "rialto.outbox";

/**
 * Messages on their way, also without a connection: sent one after the other, in order, each once.
 *
 * A message is stored before it is sent and removed after its acknowledgement, and keeps its key over runs.
 */
export class Outbox {
  private waiting: Waiting[] = [];
  private running: Promise<void> | undefined;
  private storing: Promise<void> = Promise.resolve();
  private readonly loaded: Promise<void>;

  constructor(
    /** Tries until there is a final answer. */
    private readonly send: (message: Message, key: string) => Promise<Sent>,
    private readonly storage: Storage | undefined,
    private readonly hooks: OutboxHooks,
    private readonly closed: AbortSignal,
  ) {
    this.loaded = this.load();
    this.loaded.then(() => this.start()).catch(() => {}); // whoever sends is told
  }

  /** The messages that are not acknowledged yet, oldest first. */
  get pending(): readonly Message[] {
    return this.waiting.map(({ message }) => message);
  }

  /** Resolves when the message was acknowledged; rejects when it was refused, or the client closed before that. */
  async push(message: Message): Promise<Sent> {
    throwIfAborted(this.closed);
    let entry: Waiting | undefined;
    const sent = new Promise<Sent>((resolve, reject) => {
      entry = { key: newKey(), message, resolve, reject };
    });
    sent.catch(() => {}); // also told by onRefused, for those who do not wait
    if (entry) this.waiting.push(entry);
    await this.loaded;
    await this.store();
    this.start();
    return sent;
  }

  private async load(): Promise<void> {
    const text = await this.storage?.getItem(NAME);
    if (text) this.waiting.unshift(...(JSON.parse(text) as Entry[]));
  }

  private start(): void {
    this.running ??= this.drain().finally(() => {
      this.running = undefined;
    });
  }

  private async drain(): Promise<void> {
    for (let entry = this.waiting[0]; entry !== undefined && !this.closed.aborted; entry = this.waiting[0]) {
      const { message, key, resolve, reject } = entry;
      const [sent, error] = await this.send(message, key).then(
        (answer) => [answer, undefined] as const,
        (reason: unknown) => [undefined, reason] as const,
      );
      if (sent === undefined && this.closed.aborted) break; // it stays for the next run
      await this.drop(entry);
      if (sent !== undefined) {
        resolve?.(sent);
        this.hooks.onSent?.(message, sent);
      } else {
        reject?.(error);
        if (error instanceof RialtoError) this.hooks.onRefused?.(message, error);
      }
    }
    if (this.closed.aborted) for (const { reject } of this.waiting) reject?.(reasonOf(this.closed));
  }

  private drop(entry: Waiting): Promise<void> {
    this.waiting = this.waiting.filter((other) => other !== entry);
    // If that fails, the next run sends it again, and its key makes that harmless.
    return this.store().catch(() => {});
  }

  /** One write at a time, each with all that is waiting by then. */
  private store(): Promise<void> {
    const write = async () => {
      const entries: Entry[] = this.waiting.map(({ key, message }) => ({ key, message }));
      await this.storage?.setItem(NAME, JSON.stringify(entries));
    };
    const stored = this.storing.then(write);
    this.storing = stored.catch(() => {});
    return stored;
  }
}
