import type { JobForm } from "./form";

/** What somebody has begun to type, kept in this browser until it is posted. */
const name = (user: string) => `rialto.new-job.${user}`;

export function keptForm(user: string): Partial<JobForm> | undefined {
  const text = localStorage.getItem(name(user));
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as Partial<JobForm>;
  } catch {
    return undefined;
  }
}

export function keepForm(user: string, form: JobForm | undefined): void {
  try {
    if (form === undefined) localStorage.removeItem(name(user));
    else localStorage.setItem(name(user), JSON.stringify(form));
  } catch {
    // The browser keeps nothing (more): then only this page has it.
  }
}
