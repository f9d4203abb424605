import { RialtoError } from "@rialto/client";
import { errorText, fieldErrors } from "$lib/errors";
import type { Refused } from "./outgoing.svelte";

const CONTACT: Record<string, string> = {
  email: "an email address",
  link: "a link to somewhere else",
  phone: "a phone number",
  handle: "the name of an account elsewhere",
};

type Refusal = Pick<Refused, "code" | "text" | "details">;

/** Why something that was said was not taken, in words. */
export function refusalText({ code, text, details }: Refusal): string {
  if (code === "CONTACT_SHARING") {
    const what = CONTACT[String(details.found)] ?? "contact details";
    return `It seems to contain ${what}. Contact details can be exchanged once an award is accepted.`;
  }
  if (code === "BLOCKED") return "One of you has blocked the other.";
  if (code === "FORBIDDEN") return "You can't write in this conversation.";
  if (code === "EDIT_TOO_LATE") return "A message can be changed for 15 minutes.";
  if (code === "CONFLICT") return "The message that it belongs to was deleted, or changed too often.";
  const error = new RialtoError(code as RialtoError["code"], text, false, details);
  return Object.values(fieldErrors(error))[0]?.replace(/^Must/, "It must") ?? errorText(error);
}
