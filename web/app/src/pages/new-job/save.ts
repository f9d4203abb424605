import type { Schemas } from "@rialto/client";
import { rest } from "$lib/market.svelte";

type Job = Schemas["JobOut"];
type NewJob = Schemas["NewJob"];

let last = { text: "", key: "" };

/** The key of a posting: the same for the same content, so that posting it again after a lost answer makes no second job. */
function keyOf(body: NewJob): string {
  const text = JSON.stringify(body);
  if (last.text !== text) last = { text, key: crypto.randomUUID() };
  return last.key;
}

export const post = (body: NewJob): Promise<Job> => rest<Job>("POST", "/jobs", { body, key: keyOf(body) });

/** What may be changed depends on whether bids may have come. */
export function change(id: string, body: NewJob, published: boolean): Promise<Job> {
  const { title, description, category, skills, budget, location, priority } = body;
  const always = { title, description, category, skills, budget, location, priority };
  const { visibility, invited, auction } = body;
  return rest<Job>("PATCH", `/jobs/${id}`, { body: published ? always : { ...always, visibility, invited, auction } });
}

export async function publish(id: string, body: NewJob): Promise<Job> {
  await change(id, body, false);
  return rest<Job>("POST", `/jobs/${id}/publish`, { body: { visibility: body.visibility } });
}
