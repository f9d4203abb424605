/** Money is a whole number of a currency's smallest unit. */

const formats = new Map<string, Intl.NumberFormat>();

function format(currency: string, options: Intl.NumberFormatOptions = {}): Intl.NumberFormat {
  const name = `${currency} ${JSON.stringify(options)}`;
  let known = formats.get(name);
  if (known === undefined) {
    known = new Intl.NumberFormat(undefined, { style: "currency", currency, ...options });
    formats.set(name, known);
  }
  return known;
}

/** How many digits the currency has behind the point: 2 for EUR, 0 for JPY, 3 for BHD. */
export const minorDigits = (currency: string): number => format(currency).resolvedOptions().maximumFractionDigits ?? 2;

/** `amount` in units, such as 12.5 for 1250 cents: to be shown, not to reckon with. */
export const major = (amount: number, currency: string): number => amount / 10 ** minorDigits(currency);

/** In the reader's way of writing: `€1,250.00`, without `.00` where `brief`. */
export function formatMoney(amount: number, currency: string, { brief = false } = {}): string {
  const whole = brief && amount % 10 ** minorDigits(currency) === 0;
  return format(currency, whole ? { maximumFractionDigits: 0, minimumFractionDigits: 0 } : {}).format(
    major(amount, currency),
  );
}

/** The same in three parts, to show the digits behind the point smaller: `€1,250`, `.00`, and what follows it elsewhere. */
export function moneyParts(amount: number, currency: string): [before: string, fraction: string, after: string] {
  const parts = format(currency).formatToParts(major(amount, currency));
  const join = (some: Intl.NumberFormatPart[]) => some.map(({ value }) => value).join("");
  const from = parts.findIndex(({ type }) => type === "decimal");
  const to = parts.findLastIndex(({ type }) => type === "fraction") + 1;
  return from < 0
    ? [join(parts), "", ""]
    : [join(parts.slice(0, from)), join(parts.slice(from, to)), join(parts.slice(to))];
}

/** The noughts of Arabic, Persian, Devanagari, Bengali and full-width digits. */
const ZEROS = [0x660, 0x6f0, 0x966, 0x9e6, 0xff10];

/**
 * What somebody has typed as an amount, in minor units; undefined if it isn't one, or has more digits than the currency.
 *
 * Point and comma both may divide: the last of them does, unless three digits follow a sign that also occurs elsewhere as a
 * divider of thousands, or the currency knows no such digits.
 */
export function parseMoney(text: string, currency: string): number | undefined {
  const amount = read(text, currency);
  return Number.isSafeInteger(amount) ? amount : undefined;
}

/** What is wrong with a typed amount, which has to be above zero; undefined if nothing is. */
export function amountTrouble(text: string, currency: string): string | undefined {
  if (text.trim() === "") return "Enter an amount.";
  const amount = read(text, currency);
  if (amount === undefined || amount === 0) return `That isn't an amount, such as ${exampleMoney(currency)}.`;
  return Number.isSafeInteger(amount) ? undefined : "That is too much.";
}

function read(text: string, currency: string): number | undefined {
  const typed = withLatinDigits(text)
    .replace(/[\s\u00a0\u202f\u200e\u200f\u061c'’]/gu, "")
    .replace(/^\p{Sc}|\p{Sc}$|^[A-Z]{3}|[A-Z]{3}$/gu, "");
  if (!/^\d[\d.,]*$/.test(typed)) return undefined;
  const digits = minorDigits(currency);
  const [whole, part] = divide(typed, digits);
  if (!/^\d+$/.test(whole) || !/^\d*$/.test(part) || part.length > digits) return undefined;
  return Number(whole + part.padEnd(digits, "0"));
}

/** Digits of some other scripts, and the signs that divide them, as they are known here. */
function withLatinDigits(text: string): string {
  const latin = (digit: string) => {
    const code = digit.codePointAt(0) ?? 0;
    const zero = ZEROS.find((it) => code >= it && code < it + 10);
    return zero === undefined ? digit : String(code - zero);
  };
  return text
    .replace(/\p{Nd}/gu, latin)
    .replaceAll("\u066b", ".")
    .replaceAll("\u066c", ",");
}

function divide(typed: string, digits: number): [whole: string, part: string] {
  const grouped = /^[1-9]\d{0,2}(?:([.,])\d{3})(?:\1\d{3})*(?:(?!\1)[.,]\d*)?$/.exec(typed);
  const at = Math.max(typed.lastIndexOf("."), typed.lastIndexOf(","));
  if (at < 0) return [typed, ""];
  const sign = typed[at] as string;
  const other = sign === "." ? "," : ".";
  const after = typed.length - at - 1;
  const only = typed.indexOf(sign) === at;
  const thousands = grouped !== null && after === 3 && (!only || digits !== 3) && !typed.includes(other);
  if (thousands) return [typed.replaceAll(sign, ""), ""];
  if (!only) return [typed, ""]; // no number has two points
  const whole = typed.slice(0, at);
  if (whole.includes(other) && grouped === null) return [typed, ""];
  return [whole.replaceAll(other, ""), typed.slice(at + 1)];
}

/** An amount to show to whoever has typed none. */
export const exampleMoney = (currency: string): string => formatMoney(125 * 10 ** minorDigits(currency), currency);

/** As somebody would type it: `1250.5` becomes `1250.50`. */
export function typedMoney(amount: number | null | undefined, currency: string): string {
  if (amount === null || amount === undefined) return "";
  const digits = amount % 10 ** minorDigits(currency) === 0 ? 0 : minorDigits(currency);
  return major(amount, currency).toFixed(digits);
}
