"""Failure under load: instances, worker, Valkey and MongoDB are killed while an auction runs, and no bid is lost."""
