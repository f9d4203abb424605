import type { Format } from "./form";

/** The formats in words; also what each is good for. */
export const FORMATS: readonly { id: Format; name: string; text: string; good: string }[] = [
  {
    id: "reverse",
    name: "Reverse auction",
    text: "Freelancers underbid each other in the open. The lowest price leads.",
    good: "For work that can be described well.",
  },
  {
    id: "english",
    name: "English auction",
    text: "Bidders outbid each other in the open. The highest price leads.",
    good: "For something you give away: a lead, a place, a licence.",
  },
  {
    id: "sealed",
    name: "Sealed bids",
    text: "Nobody sees the bids, you neither, until all are opened at the end.",
    good: "For honest first prices.",
  },
  {
    id: "proposal",
    name: "Proposals",
    text: "A price, days to delivery and a letter each. You negotiate and choose whom you like.",
    good: "When the price isn't everything.",
  },
];
