"""The people of a market day, one class of Locust users for each way to use the market."""
