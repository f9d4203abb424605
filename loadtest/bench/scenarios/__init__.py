"""What is measured, a module each: `measure` runs in the load's process, `SCENARIO` says the rest. `loadtest.bench.__main__` lists them."""
