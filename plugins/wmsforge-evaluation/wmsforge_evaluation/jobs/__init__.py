"""What runs in an environment with torch. The host imports none of it."""
