import { RialtoError } from "@rialto/client";

/** What people are told, where the server's own words are for programs. */
const WORDS: Partial<Record<RialtoError["code"], string>> = {
  DISCONNECTED: "Rialto can't be reached right now.",
  UNAVAILABLE: "Rialto is busy right now. Try again in a moment.",
  BAD_RESPONSE: "Rialto has answered something unexpected. Try again in a moment.",
  UNAUTHENTICATED: "Please sign in.",
  FORBIDDEN: "That isn't open to you.",
  NOT_FOUND: "That doesn't exist, or isn't open to you.",
  CLOSED: "The connection was closed.",
};

export function errorText(error: unknown): string {
  if (!(error instanceof RialtoError)) return "Something went wrong.";
  if (error.code === "RATE_LIMITED") return `Too much at once. Try again ${inSeconds(error.retry_after_ms)}.`;
  return WORDS[error.code] ?? sentence(error.message);
}

/** Whether trying the same again can help. */
export const mayHelpToRetry = (error: unknown): boolean => !(error instanceof RialtoError) || error.retryable;

/** Whether that is for want of a thing, or of the right to see it. */
export const isMissing = (error: unknown): boolean =>
  error instanceof RialtoError && (error.code === "NOT_FOUND" || error.code.endsWith("_NOT_FOUND"));

/** Whether nobody knows if it has been carried out: it may have, before the answer was lost. */
export const isLost = (error: unknown): boolean =>
  error instanceof RialtoError && (error.code === "DISCONNECTED" || error.code === "UNAVAILABLE");

export type FieldErrors = Record<string, string>;

/** What is wrong with each field of a form, by its name with dots: `auction.end_at`, `skills.0`. */
export function fieldErrors(error: unknown): FieldErrors {
  if (!(error instanceof RialtoError) || !Array.isArray(error.details.errors)) return {};
  const found: FieldErrors = {};
  for (const { loc, msg } of error.details.errors as { loc: (string | number)[]; msg: string }[]) {
    const path = loc[0] === "body" ? loc.slice(1) : loc;
    found[path.join(".")] ??= sentence(msg);
  }
  return found;
}

function inSeconds(ms: number): string {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  return seconds === 1 ? "in a second" : `in ${seconds} seconds`;
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
