import type { Schemas, User } from "@rialto/client";
import type { FieldErrors } from "$lib/errors";
import { formatMoney, minorDigits, parseMoney, typedMoney } from "$lib/money";

type Changes = Schemas["ProfileChanges"];

/** A profile as it is typed. */
export interface ProfileForm {
  name: string;
  role: "client" | "freelancer" | "both";
  about: string;
  skills: string[];
  rate: string;
  currency: string;
  address: string;
  lat: string;
  lng: string;
  remote: boolean;
  active: boolean;
}

export const formOf = (user: User): ProfileForm => ({
  name: user.name,
  role: user.role as ProfileForm["role"],
  about: user.about,
  skills: user.skills,
  rate: user.hourly_rate ? typedMoney(user.hourly_rate.amount, user.hourly_rate.currency) : "",
  currency: user.hourly_rate?.currency ?? "EUR",
  address: user.location?.address ?? "",
  lat: user.location?.lat?.toString() ?? "",
  lng: user.location?.lng?.toString() ?? "",
  remote: user.location?.remote ?? false,
  active: user.active,
});

/** What is sent, and what is wrong by the place of its field. */
export function makeChanges(form: ProfileForm): { body: Changes; errors: FieldErrors } {
  const errors: FieldErrors = {};
  if (form.name.trim() === "") errors.name = "This is needed.";
  const amount = form.rate.trim() === "" ? undefined : parseMoney(form.rate, form.currency);
  if (form.rate.trim() !== "" && amount === undefined) {
    const example = formatMoney(40 * 10 ** minorDigits(form.currency), form.currency);
    errors["hourly_rate.amount"] = `Type an amount such as ${example}.`;
  }
  const degrees = (text: string, most: number, at: string) => {
    if (text.trim() === "") return null;
    const value = Number(text.replace(",", "."));
    if (!(Math.abs(value) <= most)) errors[at] = `A number from −${most} to ${most}.`;
    return value;
  };
  const lat = degrees(form.lat, 90, "location.lat");
  const lng = degrees(form.lng, 180, "location.lng");
  if ((lat === null) !== (lng === null)) errors[lat === null ? "location.lat" : "location.lng"] = "Both, or neither.";
  const address = form.address.trim();
  const placed = form.remote || address !== "" || lat !== null;
  return {
    body: {
      name: form.name.trim(),
      role: form.role,
      about: form.about.trim(),
      skills: form.skills,
      hourly_rate: amount === undefined ? null : { amount, currency: form.currency },
      location: placed ? { lat, lng, address, remote: form.remote } : null,
      active: form.active,
    },
    errors,
  };
}
