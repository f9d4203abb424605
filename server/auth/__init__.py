"""Who is calling: passwords, tokens, the denylist."""
