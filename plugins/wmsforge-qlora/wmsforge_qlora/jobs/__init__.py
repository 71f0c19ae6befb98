"""What runs in the environment with torch. The host imports none of it."""
