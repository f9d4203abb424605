import { describe, expect, it } from "vitest";
import { fromLocalInput, toLocalInput } from "../src/lib/localtime";
import { makeBody, stepOf } from "../src/pages/new-job/body";
import { blankForm, formOf, type JobForm } from "../src/pages/new-job/form";

const NOW = Date.parse("2026-11-22T10:00:30Z");
const filled = (changes: Partial<JobForm> = {}): JobForm => ({
  ...blankForm(NOW),
  title: " Paint a fence ",
  description: "Green.",
  category: "crafts",
  start_amount: "900",
  ...changes,
});
const errors = (changes: Partial<JobForm>) => makeBody(filled(changes), NOW, false).errors;

describe("makeBody", () => {
  it("makes what the server takes", () => {
    const { body, errors } = makeBody(filled({ budget_max: "1,250.50", reserve_amount: "700" }), NOW, false);
    expect(errors).toEqual({});
    expect(body).toMatchObject({
      title: "Paint a fence",
      status: "open",
      budget: { min: 0, max: 125_050, currency: "EUR" },
      auction: {
        format: "reverse",
        direction: "reverse",
        start_amount: 90_000,
        reserve_amount: 70_000,
        start_at: null,
      },
    });
    expect(body.auction?.soft_close).toEqual({ window_s: 120, extension_s: 120, hard_end_at: null });
    expect(Date.parse(body.auction?.end_at ?? "") - NOW).toBeGreaterThan(2 * 86_400_000);
  });

  it("says what is missing, at its field", () => {
    const { errors } = makeBody(blankForm(NOW), NOW, false);
    expect(Object.keys(errors).sort()).toEqual(["auction.start_amount", "category", "description", "title"]);
    expect(makeBody(filled({ start_amount: "" }), NOW, true)).toMatchObject({ body: { auction: null }, errors: {} });
  });

  it("knows which prices don't go together, by direction", () => {
    expect(errors({ reserve_amount: "901" })).toHaveProperty(["auction.reserve_amount"]);
    expect(errors({ minimum_amount: "901" })).toHaveProperty(["auction.minimum_amount"]);
    expect(errors({ format: "english", reserve_amount: "901" })).toEqual({});
    expect(errors({ format: "english", reserve_amount: "899" })).toHaveProperty(["auction.reserve_amount"]);
    expect(errors({ budget_min: "2", budget_max: "1" })).toHaveProperty(["budget.min"]);
    expect(errors({ start_amount: "9.999" })).toEqual({});
    expect(errors({ start_amount: "nine" })).toHaveProperty(["auction.start_amount"]);
  });

  it("knows which times don't go together", () => {
    const past = toLocalInput(NOW - 60_000);
    const soon = toLocalInput(NOW + 3_600_000);
    const later = toLocalInput(NOW + 7_200_000);
    expect(errors({ end_at: past })).toHaveProperty(["auction.end_at"]);
    expect(errors({ later: true, start_at: later, end_at: soon })).toHaveProperty(["auction.end_at"]);
    expect(errors({ later: true, start_at: soon, end_at: later })).toEqual({});
    expect(errors({ end_at: later, hard_end_at: soon })).toHaveProperty(["auction.soft_close.hard_end_at"]);
    expect(errors({ window_min: "0" })).toHaveProperty(["auction.soft_close.window_s"]);
  });

  it("takes increments with the first row at any price", () => {
    const rows = [
      { from: "0", step: "10" },
      { from: "100", step: "20" },
    ];
    const { body } = makeBody(filled({ ownSteps: true, increments: rows }), NOW, false);
    expect(body.auction?.increments).toEqual([
      { from: 0, step: 1000 },
      { from: 10_000, step: 2000 },
    ]);
    const wrong = [rows[1], { from: "", step: "0" }] as JobForm["increments"];
    expect(Object.keys(errors({ ownSteps: true, increments: wrong }))).toEqual([
      "auction.increments.1.from",
      "auction.increments.1.step",
    ]);
  });

  it("leaves out of hidden formats what they don't have", () => {
    const { body } = makeBody(filled({ format: "sealed", ownSteps: true, show_count: false }), NOW, false);
    expect(body.auction).toMatchObject({ increments: null, soft_close: null, show_count: false });
    expect(makeBody(filled({ format: "proposal", reserve_amount: "1" }), NOW, false).body.auction?.reserve_amount).toBe(
      null,
    );
  });
});

describe("a draft", () => {
  it("comes back as it was sent", () => {
    const { body } = makeBody(filled({ minimum_amount: "12.50", window_min: "1.5", budget_max: "1000" }), NOW, true);
    const job = { ...body, id: "1", owner: "2", revision: 0 } as unknown as Parameters<typeof formOf>[0];
    const again = makeBody(formOf({ ...job, terms: body.auction }, [], NOW), NOW, true).body;
    expect(again).toEqual(body);
  });
});

it("finds the step of a field", () => {
  expect(["title", "skills.0", "budget.max", "auction.soft_close.window_s", "invited.0"].map(stepOf)).toEqual([
    "work",
    "work",
    "place",
    "auction",
    "review",
  ]);
});

it("reads and writes local times to the minute", () => {
  const typed = toLocalInput(NOW);
  expect(fromLocalInput(typed)).toBe(NOW - 30_000);
  expect(fromLocalInput("")).toBeUndefined();
});
