/** Jobs by what their client has to do with them. */
export const TABS = [
  { id: "open", text: "Open", statuses: "open", empty: "No open jobs", hint: "Jobs that take bids are listed here." },
  {
    id: "drafts",
    text: "Drafts",
    statuses: "draft",
    empty: "No drafts",
    hint: "A job that isn't ready can wait here. Nobody else sees it.",
  },
  {
    id: "under-way",
    text: "Under way",
    statuses: "closed,awarded,in_progress",
    empty: "Nothing under way",
    hint: "Once bidding has ended, a job is here until the work is done.",
  },
  {
    id: "past",
    text: "Past",
    statuses: "completed,cancelled",
    empty: "Nothing yet",
    hint: "Completed and cancelled jobs are kept here.",
  },
] as const;
