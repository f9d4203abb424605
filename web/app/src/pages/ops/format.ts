const counts = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export type Format = (value: number) => string;

export const count: Format = (value) => counts.format(value);
export const perSecond: Format = (value) => `${value < 100 ? fine.format(value) : counts.format(value)}/s`;
export const milliseconds: Format = (value) => `${value < 100 ? fine.format(value) : counts.format(value)} ms`;
export const seconds: Format = (value) => (value < 1 ? milliseconds(value * 1000) : `${fine.format(value)} s`);
export const mebibytes: Format = (value) => `${counts.format(value / 2 ** 20)} MiB`;

/** `2 d 3 h`, `3 h 20 min`, `40 min`, `12 s`. */
export function duration(seconds: number): string {
  const [d, h, m] = [86_400, 3600, 60].map((unit) => Math.floor(seconds / unit)) as [number, number, number];
  if (d > 0) return `${d} d ${h % 24} h`;
  if (h > 0) return `${h} h ${m % 60} min`;
  return m > 0 ? `${m} min` : `${Math.floor(seconds)} s`;
}

/** Or a dash, for what isn't known. */
export const orDash = (value: number | null | undefined, format: Format): string =>
  value === null || value === undefined ? "–" : format(value);
