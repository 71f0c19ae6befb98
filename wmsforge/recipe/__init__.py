"""Recipes: read, check, plan."""
