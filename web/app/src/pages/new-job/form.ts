import type { Schemas } from "@rialto/client";
import { typedMoney } from "$lib/money";
import { toLocalInput } from "$lib/localtime";

export type Format = Schemas["AuctionIn"]["format"];

export interface Guest {
  id: string;
  name: string;
}

/** A job as it is typed. It is kept in the browser, so it holds text rather than what the text means. */
export interface JobForm {
  title: string;
  description: string;
  category: string;
  skills: string[];
  priority: NonNullable<Schemas["NewJob"]["priority"]>;
  remote: boolean;
  address: string;
  lat: string;
  lng: string;
  currency: string;
  budget_min: string;
  budget_max: string;
  format: Format;
  direction: "reverse" | "forward";
  start_amount: string;
  minimum_amount: string;
  reserve_amount: string;
  ownSteps: boolean;
  increments: { from: string; step: string }[];
  later: boolean;
  start_at: string;
  end_at: string;
  softClose: boolean;
  window_min: string;
  extension_min: string;
  hard_end_at: string;
  confirmJump: boolean;
  confirm_jump_percent: string;
  show_count: boolean;
  visibility: "public" | "invited";
  invited: Guest[];
}

const DAY_MS = 86_400_000;

/** A form to begin with; `now` by the market's clock. */
export const blankForm = (now: number): JobForm => ({
  title: "",
  description: "",
  category: "",
  skills: [],
  priority: "normal",
  remote: true,
  address: "",
  lat: "",
  lng: "",
  currency: "EUR",
  budget_min: "",
  budget_max: "",
  format: "reverse",
  direction: "reverse",
  start_amount: "",
  minimum_amount: "",
  reserve_amount: "",
  ownSteps: false,
  increments: [{ from: "0", step: "" }],
  later: false,
  start_at: "",
  end_at: toLocalInput(now + 3 * DAY_MS),
  softClose: true,
  window_min: "2",
  extension_min: "2",
  hard_end_at: "",
  confirmJump: true,
  confirm_jump_percent: "50",
  show_count: true,
  visibility: "public",
  invited: [],
});

/** Whether anything of one's own was typed. */
export const isBegun = (form: JobForm): boolean =>
  [form.title, form.description, form.category, form.address, form.start_amount, form.budget_max, ...form.skills].some(
    (text) => text.trim() !== "",
  );

/** Bidders outbid each other upwards in `english` auctions, and downwards in `reverse` ones; the others may go either way. */
export function directionOf({ format, direction }: JobForm): "reverse" | "forward" {
  if (format === "reverse") return "reverse";
  return format === "english" ? "forward" : direction;
}

/** Whether bids are seen while it runs, so that they can be outbid. */
export const isOpenFormat = ({ format }: JobForm): boolean => format === "reverse" || format === "english";

/** A job of the server's as a form; what isn't said of its auction is left as in a new one. */
export function formOf(job: Schemas["JobOut"], guests: Guest[], now: number): JobForm {
  const terms = job.terms ?? undefined;
  const currency = terms?.currency ?? job.auction?.currency ?? job.budget?.currency ?? "EUR";
  const money = (amount: number | null | undefined) => typedMoney(amount, currency);
  const soft = terms?.soft_close;
  return {
    ...blankForm(now),
    title: job.title,
    description: job.description,
    category: job.category,
    skills: job.skills,
    priority: job.priority as JobForm["priority"],
    remote: job.location?.remote ?? false,
    address: job.location?.address ?? "",
    lat: job.location?.lat?.toString() ?? "",
    lng: job.location?.lng?.toString() ?? "",
    currency,
    budget_min: job.budget?.min ? money(job.budget.min) : "",
    budget_max: money(job.budget?.max),
    visibility: job.visibility === "invited" ? "invited" : "public",
    invited: guests,
    ...(terms && {
      format: terms.format,
      direction: terms.direction ?? "reverse",
      start_amount: money(terms.start_amount),
      minimum_amount: money(terms.minimum_amount),
      reserve_amount: money(terms.reserve_amount),
      ownSteps: Boolean(terms.increments?.length),
      increments: terms.increments?.map(({ from, step }) => ({ from: money(from), step: money(step) })) ?? [
        { from: "0", step: "" },
      ],
      later: Boolean(terms.start_at),
      start_at: terms.start_at ? toLocalInput(terms.start_at) : "",
      end_at: toLocalInput(terms.end_at),
      softClose: Boolean(soft?.window_s),
      window_min: String((soft?.window_s ?? 120) / 60),
      extension_min: String((soft?.extension_s ?? 120) / 60),
      hard_end_at: soft?.hard_end_at ? toLocalInput(soft.hard_end_at) : "",
      confirmJump: Boolean(terms.confirm_jump_percent),
      confirm_jump_percent: String(terms.confirm_jump_percent ?? 50),
      show_count: terms.show_count ?? true,
    }),
  };
}
