/** Times as `<input type="datetime-local">` has them: in the reader's zone, to the minute. */

const two = (n: number) => String(n).padStart(2, "0");

/** `2026-11-21T10:00` for a time in ms or RFC 3339; the minute that has begun. */
export function toLocalInput(when: number | string): string {
  const at = new Date(when);
  const day = `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** The ms of what was typed; undefined if it is no time. */
export function fromLocalInput(typed: string): number | undefined {
  const ms = typed === "" ? NaN : new Date(typed).getTime();
  return Number.isNaN(ms) ? undefined : ms;
}

/** The reader's zone, such as `Europe/Rome`. */
export const localZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone.replaceAll("_", " ");
