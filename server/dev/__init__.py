"""`rialto dev`: embedded databases, the supervisor, demo data, the simulator."""
