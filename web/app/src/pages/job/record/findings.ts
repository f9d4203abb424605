import { isHidden } from "$lib/auction";
import { formatMoney } from "$lib/money";
import type { Shown } from "../types";
import type { Report } from "./verify";

export interface Finding {
  tone: "good" | "bad" | "plain";
  text: string;
}

const number = new Intl.NumberFormat();

/** What a check has found, step by step, and what it can't tell. */
export function findings(report: Report, { format, reserve, currency }: Shown, hasBid: boolean): Finding[] {
  const found: Finding[] = [];
  const good = (text: string) => found.push({ tone: "good", text });
  const plain = (text: string) => found.push({ tone: "plain", text });
  const { events, broken } = report;
  good(`Fetched the public record: ${number.format(Math.ceil(report.bytes / 1024))} KB.`);
  if (events > 0) {
    good(`${entries(events)}, numbered without a gap, with times that never go back.`);
    good(`${entries(events)} worked out by SHA-256: each fits the one before.`);
  }
  if (broken) {
    found.push({ tone: "bad", text: `Entry ${number.format(broken.seq)} is wrong: ${broken.reason}.` });
    return found;
  }
  if (report.compared > 0)
    good(`${entries(report.compared)} carry the same fingerprints as when this page was sent them live.`);
  else plain("Nothing has happened since you opened this page, so there is nothing live to compare with.");
  if (report.reserve === "kept" && reserve)
    good(`The reserve, ${formatMoney(reserve.amount, currency)}, is the one that was fixed at the opening.`);
  else if (report.reserve === "hidden")
    plain("The reserve was fixed at the opening and is hidden; it can be checked once it is told at the close.");
  if (isHidden(format)) plain("Offers are not in the public record, so your own can't be looked for.");
  else if (report.own > 0)
    good(
      report.own === 1
        ? "Your bid is in it as you placed it."
        : `Your ${number.format(report.own)} bids are in it as you placed them.`,
    );
  else if (!hasBid) plain("You have no bids here to look for.");
  if (report.automatic > 0)
    plain("Of automatic bids the record holds a sealed limit, which only an auditor's copy can open.");
  return found;
}

const entries = (count: number) => (count === 1 ? "1 entry" : `${number.format(count)} entries`);
