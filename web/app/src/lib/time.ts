import { wordsLocale } from "./locale";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const relative = new Intl.RelativeTimeFormat(wordsLocale, { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(wordsLocale, { dateStyle: "medium", timeStyle: "short" });
const precise = new Intl.DateTimeFormat(wordsLocale, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(wordsLocale, { timeStyle: "short" });
const day = new Intl.DateTimeFormat(wordsLocale, { dateStyle: "medium" });
const weekday = new Intl.DateTimeFormat(wordsLocale, { weekday: "short" });
const short = new Intl.DateTimeFormat(wordsLocale, { dateStyle: "short" });
const long = new Intl.DateTimeFormat(wordsLocale, { weekday: "long", day: "numeric", month: "long", year: "numeric" });

export type When = string | number;

const ms = (when: When): number => (typeof when === "number" ? when : Date.parse(when));

/** `3 minutes ago`, `in 2 days`. */
export function formatRelative(when: When, now: number): string {
  const away = ms(when) - now;
  const size = Math.abs(away);
  if (size < 45 * SECOND) return relative.format(0, "second");
  if (size < 45 * MINUTE) return relative.format(Math.round(away / MINUTE) || Math.sign(away), "minute");
  if (size < 22 * HOUR) return relative.format(Math.round(away / HOUR), "hour");
  if (size < 26 * DAY) return relative.format(Math.round(away / DAY), "day");
  return day.format(ms(when));
}

/** Date and time in the reader's zone. */
export const formatAbsolute = (when: When): string => absolute.format(ms(when));
/** The same to the second. */
export const formatPrecise = (when: When): string => precise.format(ms(when));
/** The time of day alone. */
export const formatClock = (when: When): string => clock.format(ms(when));
/** The day alone. */
export const formatDay = (when: When): string => day.format(ms(when));

/** As short as a list needs it: the time of day today, the weekday this week, else the date. */
export function formatBrief(when: When, now: number): string {
  const then = ms(when);
  if (new Date(then).toDateString() === new Date(now).toDateString()) return clock.format(then);
  if (now - then < 6 * DAY) return weekday.format(then);
  return short.format(then);
}

/** As a head over what belongs to a day. */
export function formatDayName(when: When, now: number): string {
  const then = new Date(ms(when));
  for (const [away, name] of [
    [0, "Today"],
    [1, "Yesterday"],
  ] as const) {
    const day = new Date(now);
    day.setDate(day.getDate() - away);
    if (day.toDateString() === then.toDateString()) return name;
  }
  return long.format(then);
}

const two = (n: number) => String(n).padStart(2, "0");

/** What is left: `3 d 4 h`, `4 h 05 m`, `4:05`; `0:00` from the end on. */
export function formatLeft(left_ms: number): string {
  // Rounded up, so that 0:00 is shown when it is over and not before.
  const left = Math.max(0, Math.ceil(left_ms / SECOND) * SECOND);
  if (left >= DAY) return `${Math.floor(left / DAY)} d ${Math.floor((left % DAY) / HOUR)} h`;
  if (left >= HOUR) return `${Math.floor(left / HOUR)} h ${two(Math.floor((left % HOUR) / MINUTE))} m`;
  return `${Math.floor(left / MINUTE)}:${two(Math.floor((left % MINUTE) / SECOND))}`;
}

/** The same for a screen reader. */
export function speakLeft(left_ms: number): string {
  const left = Math.max(0, left_ms);
  const say = (count: number, unit: string) =>
    new Intl.NumberFormat("en", { style: "unit", unit, unitDisplay: "long" }).format(count);
  if (left >= DAY) return `${say(Math.floor(left / DAY), "day")} left`;
  if (left >= HOUR) return `${say(Math.floor(left / HOUR), "hour")} left`;
  if (left >= MINUTE) return `${say(Math.floor(left / MINUTE), "minute")} left`;
  return left > 0 ? "less than a minute left" : "ended";
}
