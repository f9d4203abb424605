import { expect, test } from "vitest";
import { amountTrouble, formatMoney, minorDigits, parseMoney } from "../src/lib/money";

test("currencies have their own digits", () => {
  expect(["EUR", "JPY", "BHD"].map(minorDigits)).toEqual([2, 0, 3]);
});

test("money is shown with all digits, or without zeros where brief", () => {
  expect(formatMoney(125_000, "EUR")).toContain("1,250.00");
  expect(formatMoney(125_000, "EUR", { brief: true })).toMatch(/1,250$/);
  expect(formatMoney(125_050, "EUR", { brief: true })).toContain("1,250.50");
  expect(formatMoney(1250, "JPY")).toContain("1,250");
});

test.each([
  ["1250", "EUR", 125_000],
  ["1250.5", "EUR", 125_050],
  ["1250,50", "EUR", 125_050],
  ["1,250.50", "EUR", 125_050],
  ["1.250,50", "EUR", 125_050],
  ["1,250", "EUR", 125_000],
  ["1.250", "EUR", 125_000],
  ["1.250.000", "EUR", 125_000_000],
  ["1 250,00 €", "EUR", 125_000],
  ["€1,250.00", "EUR", 125_000],
  ["EUR 12", "EUR", 1200],
  ["1'250.50", "CHF", 125_050],
  ["12.345", "BHD", 12_345],
  ["1,234.567", "BHD", 1_234_567],
  ["1,250", "JPY", 1250],
  ["0.01", "EUR", 1],
  ["5.", "EUR", 500],
  ["۱۲۵۰٫۵", "EUR", 125_050],
  ["\u200e€۱٬۲۵۰٫۵۰", "EUR", 125_050],
  ["١٢٥٠", "EUR", 125_000],
  ["१२५०", "EUR", 125_000],
])("%s in %s is %d", (typed, currency, amount) => {
  expect(parseMoney(typed, currency)).toBe(amount);
});

test.each([
  "",
  "abc",
  "-5",
  "0,001",
  "0.500",
  "01,250",
  "1.2.3",
  "1,2,3",
  "12.345,6.7",
  "1e5",
  ".",
  "12.3456",
  "90071992547409.92",
])("%s is no amount", (typed) => {
  expect(parseMoney(typed, "EUR")).toBeUndefined();
});

test("digits that the currency doesn't have are refused", () => {
  expect(parseMoney("1.5", "JPY")).toBeUndefined();
  expect(parseMoney("1.234,567", "EUR")).toBeUndefined();
});

test.each([
  [" ", "Enter an amount."],
  ["many", "That isn't an amount, such as €125.00."],
  ["0", "That isn't an amount, such as €125.00."],
  ["99999999999999999", "That is too much."],
  ["90,071,992,547,409.91", undefined],
])("of %j is said: %s", (typed, text) => {
  expect(amountTrouble(typed, "EUR")).toBe(text);
});
