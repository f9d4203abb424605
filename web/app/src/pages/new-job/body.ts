import type { Schemas } from "@rialto/client";
import type { FieldErrors } from "$lib/errors";
import { fromLocalInput } from "$lib/localtime";
import { amountTrouble, parseMoney } from "$lib/money";
import { directionOf, isOpenFormat, type JobForm } from "./form";

type NewJob = Required<Schemas["NewJob"]>; // the form has a word on everything

/** The limits of the interface's description, for what is said before anything is sent. */
const LIMITS = { title: 200, description: 20_000, category: 60, skills: 30, address: 300, increments: 100 };
const MAX_DURATION_MS = 365 * 86_400_000;
const MAX_WINDOW_MIN = 7 * 24 * 60;

export interface Made {
  body: NewJob;
  /** By the place of the field in the body, as the server says it; empty if nothing is wrong. */
  errors: FieldErrors;
}

/** What is sent for a form. `now` by the market's clock. A draft needs no auction yet. */
export function makeBody(form: JobForm, now: number, draft: boolean): Made {
  const errors: FieldErrors = {};
  const wrong = (at: string, text: string) => void (errors[at] ??= text);

  const money = (text: string, at: string): number | null => {
    if (text.trim() === "") return null;
    const amount = parseMoney(text, form.currency);
    if (amount === undefined) wrong(at, amountTrouble(text, form.currency) ?? "");
    return amount ?? null;
  };

  for (const name of ["title", "description", "category"] as const) {
    if (form[name].trim() === "") wrong(name, "This is needed.");
    if (form[name].length > LIMITS[name]) wrong(name, `At most ${LIMITS[name].toLocaleString()} characters.`);
  }
  if (form.skills.length > LIMITS.skills) wrong("skills", `At most ${LIMITS.skills} skills.`);

  const budget = makeBudget(form, money, wrong);
  const location = makeLocation(form, wrong);
  const wanted = !draft || form.start_amount.trim() !== "";
  const auction = wanted ? makeAuction(form, now, money, wrong) : null;
  if (form.visibility === "invited" && form.invited.length === 0 && !draft)
    wrong("invited", "Invite somebody, or let everybody see the job.");

  const body: NewJob = {
    title: form.title.trim(),
    description: form.description.trim(),
    category: form.category.trim(),
    skills: form.skills,
    budget,
    location,
    visibility: form.visibility,
    invited: form.visibility === "invited" ? form.invited.map(({ id }) => id) : [],
    priority: form.priority,
    status: draft ? "draft" : "open",
    auction,
  };
  return { body, errors };
}

type Money = (text: string, at: string) => number | null;
type Wrong = (at: string, text: string) => void;

function makeBudget(form: JobForm, money: Money, wrong: Wrong): NewJob["budget"] {
  const min = money(form.budget_min, "budget.min");
  const max = money(form.budget_max, "budget.max");
  if (max === null) {
    if (min !== null) wrong("budget.max", "Say the most as well, or leave both empty.");
    return null;
  }
  if (min !== null && min > max) wrong("budget.min", "This is more than the most.");
  return { min: min ?? 0, max, currency: form.currency };
}

function makeLocation(form: JobForm, wrong: Wrong): NewJob["location"] {
  const degrees = (text: string, most: number, at: string): number | null => {
    if (text.trim() === "") return null;
    const value = Number(text.replace(",", "."));
    if (!(Math.abs(value) <= most)) wrong(at, `A number from −${most} to ${most}.`);
    return value;
  };
  if (form.address.length > LIMITS.address) wrong("location.address", `At most ${LIMITS.address} characters.`);
  const lat = degrees(form.lat, 90, "location.lat");
  const lng = degrees(form.lng, 180, "location.lng");
  if ((lat === null) !== (lng === null)) wrong(lat === null ? "location.lat" : "location.lng", "Both, or neither.");
  const address = form.address.trim();
  if (!form.remote && address === "" && lat === null)
    wrong("location.address", "Say where, or that it can be done from anywhere.");
  return { lat, lng, address, remote: form.remote };
}

function makeAuction(form: JobForm, now: number, money: Money, wrong: Wrong): Schemas["AuctionIn"] {
  const at = (name: string) => `auction.${name}`;
  const reverse = directionOf(form) === "reverse";
  const start_amount = money(form.start_amount, at("start_amount"));
  if (form.start_amount.trim() === "" || start_amount === 0)
    wrong(at("start_amount"), "An amount above zero is needed.");
  const minimum_amount = reverse ? money(form.minimum_amount, at("minimum_amount")) : null;
  if (minimum_amount !== null && start_amount !== null && minimum_amount > start_amount)
    wrong(at("minimum_amount"), "This is above the highest price.");
  const reserve_amount = form.format === "proposal" ? null : money(form.reserve_amount, at("reserve_amount"));
  if (reserve_amount !== null && start_amount !== null) {
    if (reverse && reserve_amount > start_amount) wrong(at("reserve_amount"), "This is above the highest price.");
    if (!reverse && reserve_amount < start_amount) wrong(at("reserve_amount"), "This is below the lowest price.");
    if (minimum_amount !== null && reserve_amount < minimum_amount)
      wrong(at("reserve_amount"), "This is below the lowest bid.");
  }
  const { start, end } = makeTimes(form, now, wrong);
  const open = isOpenFormat(form);
  return {
    format: form.format,
    direction: directionOf(form),
    currency: form.currency,
    start_amount: start_amount ?? 0,
    minimum_amount,
    reserve_amount,
    increments: open && form.ownSteps ? makeIncrements(form, money, wrong) : null,
    start_at: form.later ? iso(start) : null,
    end_at: iso(end) ?? "",
    soft_close: open && form.softClose ? makeSoftClose(form, end, wrong) : null,
    confirm_jump_percent: form.confirmJump ? makePercent(form, wrong) : null,
    show_count: form.format === "sealed" ? form.show_count : null,
  };
}

const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());

function makeTimes(form: JobForm, now: number, wrong: Wrong): { start: number | undefined; end: number | undefined } {
  const start = form.later ? fromLocalInput(form.start_at) : undefined;
  const end = fromLocalInput(form.end_at);
  if (form.later && start === undefined) wrong("auction.start_at", "Say when it begins.");
  if (start !== undefined && start < now) wrong("auction.start_at", "This is in the past.");
  const begins = Math.max(start ?? now, now);
  if (end === undefined) wrong("auction.end_at", "Say when it ends.");
  else if (end <= now) wrong("auction.end_at", "This is in the past.");
  else if (end <= begins) wrong("auction.end_at", "This is before it begins.");
  else if (end - begins > MAX_DURATION_MS) wrong("auction.end_at", "At most 365 days after it begins.");
  return { start, end };
}

function makeIncrements(form: JobForm, money: Money, wrong: Wrong): Schemas["Increment"][] {
  if (form.increments.length > LIMITS.increments) wrong("auction.increments", `At most ${LIMITS.increments} rows.`);
  let before = -1;
  return form.increments.map((row, index) => {
    const at = `auction.increments.${index}`;
    const from = index === 0 ? 0 : money(row.from, `${at}.from`);
    const step = money(row.step, `${at}.step`);
    if (from === null) wrong(`${at}.from`, "From which price on?");
    else if (from <= before) wrong(`${at}.from`, "Must be more than in the row before.");
    if (step === null || step === 0) wrong(`${at}.step`, "An amount above zero is needed.");
    before = from ?? before;
    return { from: from ?? 0, step: step ?? 0 };
  });
}

function makeSoftClose(form: JobForm, end: number | undefined, wrong: Wrong): Schemas["SoftClose"] {
  const seconds = (text: string, name: string): number => {
    const minutes = Number(text.replace(",", "."));
    if (text.trim() === "" || !(minutes > 0 && minutes <= MAX_WINDOW_MIN))
      wrong(`auction.soft_close.${name}`, "Minutes, more than zero, at most 7 days.");
    return Math.round((minutes || 0) * 60);
  };
  const hard = form.hard_end_at === "" ? undefined : fromLocalInput(form.hard_end_at);
  if (hard !== undefined && end !== undefined && hard < end)
    wrong("auction.soft_close.hard_end_at", "This is before the end.");
  return {
    window_s: seconds(form.window_min, "window_s"),
    extension_s: seconds(form.extension_min, "extension_s"),
    hard_end_at: iso(hard),
  };
}

function makePercent(form: JobForm, wrong: Wrong): number {
  const percent = Number(form.confirm_jump_percent);
  if (!Number.isInteger(percent) || percent < 1 || percent > 100_000)
    wrong("auction.confirm_jump_percent", "A whole number of percent, at least 1.");
  return percent;
}

/** The step on which a field is. */
export function stepOf(at: string): StepId {
  if (at.startsWith("auction")) return "auction";
  if (at.startsWith("budget") || at.startsWith("location")) return "place";
  return at.startsWith("invited") || at.startsWith("visibility") ? "review" : "work";
}

export const STEPS = [
  { id: "work", text: "The work" },
  { id: "place", text: "Place and budget" },
  { id: "auction", text: "The auction" },
  { id: "review", text: "Review" },
] as const;

export type StepId = (typeof STEPS)[number]["id"];
