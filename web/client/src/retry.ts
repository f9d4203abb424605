import { RialtoError } from "./errors.js";
import { sleep, throwIfAborted } from "./waiting.js";

export interface Backoff {
  /** Before the second attempt; doubled before each that follows. */
  first_ms: number;
  most_ms: number;
}

export const BACKOFF: Backoff = { first_ms: 250, most_ms: 10_000 };

/** How long to wait after `failures` failures in a row: at least what the server asks for, and spread at random. */
export function pause(failures: number, error: unknown, backoff: Backoff = BACKOFF, random = Math.random): number {
  const grown = Math.min(backoff.most_ms, backoff.first_ms * 2 ** Math.min(failures - 1, 30));
  const asked = error instanceof RialtoError ? error.retry_after_ms : 0;
  return Math.max(asked, grown / 2) + (random() * grown) / 2;
}

export const mayRetry = (error: unknown): boolean => error instanceof RialtoError && error.retryable;

export interface Patience {
  /** From the first attempt on; what fails later is final. */
  patience_ms: number;
  backoff?: Backoff;
  signal?: AbortSignal | undefined;
}

/** Runs an attempt until it succeeds, fails for good, or patience ends: then the last failure is thrown. */
export async function retrying<T>(attempt: () => Promise<T>, { patience_ms, backoff, signal }: Patience): Promise<T> {
  const end = Date.now() + patience_ms;
  for (let failures = 1; ; failures++) {
    throwIfAborted(signal);
    try {
      return await attempt();
    } catch (error) {
      const wait = pause(failures, error, backoff);
      if (!mayRetry(error) || Date.now() + wait > end) throw error;
      await sleep(wait, signal);
    }
  }
}
