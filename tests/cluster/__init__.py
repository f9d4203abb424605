"""Rialto as people run it: several instances, workers, databases and nginx, each a process that can be killed and started again."""
