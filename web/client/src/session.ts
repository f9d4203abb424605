import { RialtoError } from "./errors.js";
import { newKey } from "./keys.js";
import { mayRetry } from "./retry.js";
import type { Schemas } from "./types.js";
import { later } from "./waiting.js";

/** A login, in the form in which it may be kept between runs. */
export interface Tokens {
  access_token: string;
  refresh_token: string;
  /** When the access token ends: ms on this machine's clock. */
  expires_at: number;
  /** What the next renewal is sent with: whoever shares these tokens renews them with the same key, so it happens once. */
  renewal_key?: string;
}

type LoggedIn = Pick<Schemas["LoggedIn"], "access_token" | "refresh_token" | "expires_in">;

export interface SessionHooks {
  /** New tokens to keep, or undefined when there are none any more. */
  onTokens?: ((tokens: Tokens | undefined) => void) | undefined;
  /** The login has ended, and not by `logout`: somebody must log in again. */
  onSessionOver?: ((error: RialtoError) => void) | undefined;
}

const LONGEST_MARGIN_MS = 60_000;
const AGAIN_MS = 5_000;

/** The login: hands out access tokens that hold, and renews them in time, one renewal at a time. */
export class Session {
  private renewing: Promise<void> | undefined;
  private lifetime_ms = 0;
  private stop = () => {};
  private readonly listeners = new Set<(token: string | undefined) => void>();

  constructor(
    private tokens: Tokens | undefined,
    private readonly renewal: (refresh_token: string, key: string) => Promise<LoggedIn>,
    private readonly hooks: SessionHooks,
  ) {
    this.schedule();
  }

  get signedIn(): boolean {
    return this.tokens !== undefined;
  }

  /** The access token as it is, though it may have ended. */
  get current(): string | undefined {
    return this.tokens?.access_token;
  }

  /** Whenever there is another access token, or none any more. Returns how to stop listening. */
  listen(listener: (token: string | undefined) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  adopt(answer: LoggedIn | undefined, renewal_key = newKey()): void {
    this.tokens = answer && {
      access_token: answer.access_token,
      refresh_token: answer.refresh_token,
      expires_at: Date.now() + answer.expires_in * 1000,
      renewal_key,
    };
    this.lifetime_ms = (answer?.expires_in ?? 0) * 1000;
    this.schedule();
    this.hooks.onTokens?.(this.tokens && { ...this.tokens });
    this.tell();
  }

  /** Takes over what another session of the same login has renewed or ended; `onTokens` isn't told. */
  share(tokens: Tokens | undefined): void {
    if (this.tokens?.access_token === tokens?.access_token) return;
    this.tokens = tokens && { ...tokens };
    this.lifetime_ms = 0;
    this.schedule();
    this.tell();
  }

  /** A token that is good for a while; undefined when nobody is signed in. Throws when it can't be had now. */
  async access(): Promise<string | undefined> {
    if (this.tokens !== undefined && this.tokens.expires_at <= Date.now()) await this.renew(this.tokens.access_token);
    return this.tokens?.access_token;
  }

  /** Renews the login unless `stale` isn't its token any more. Whoever asks meanwhile shares the renewal. */
  renew(stale: string | undefined): Promise<void> {
    if (this.renewing !== undefined) return this.renewing;
    if (this.tokens === undefined || this.tokens.access_token !== stale) return Promise.resolve();
    this.renewing = this.renewOnce(this.tokens).finally(() => {
      this.renewing = undefined;
    });
    return this.renewing;
  }

  close(): void {
    this.stop();
    this.listeners.clear();
  }

  private async renewOnce(before: Tokens): Promise<void> {
    const key = before.renewal_key ?? newKey();
    try {
      const answer = await this.renewal(before.refresh_token, key);
      if (this.tokens === before) this.adopt(answer, after(key));
    } catch (error) {
      if (this.tokens !== undefined && this.tokens !== before) return; // shared meanwhile by who was faster
      if (this.tokens === before && !mayRetry(error)) {
        this.adopt(undefined);
        if (error instanceof RialtoError) this.hooks.onSessionOver?.(error);
      }
      throw error;
    }
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener(this.tokens?.access_token);
  }

  private schedule(in_ms?: number): void {
    this.stop();
    const { tokens } = this;
    if (tokens === undefined) return;
    const margin = this.lifetime_ms > 0 ? Math.min(LONGEST_MARGIN_MS, this.lifetime_ms / 2) : LONGEST_MARGIN_MS;
    this.stop = later(in_ms ?? tokens.expires_at - margin - Date.now(), () => {
      if (tokens.expires_at - margin > Date.now()) return this.schedule(); // a timer has a longest time
      this.renew(tokens.access_token).catch((error) => mayRetry(error) && this.schedule(AGAIN_MS));
    });
  }
}

/** The key of the renewal after this one: all who share a login have to come to the same. */
function after(key: string): string {
  const [, stem, number] = /^(.*?)(?:\.(\d+))?$/.exec(key) as unknown as [string, string, string | undefined];
  return `${stem}.${Number(number ?? 0) + 1}`;
}
