"""The HTTP edge: routes, problems, health, API descriptions, streams over HTTP."""
