"""A user's notifications: one stream per user, and what of the market's events becomes a notification for whom."""
