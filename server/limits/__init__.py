"""Token buckets, and who they are for."""
