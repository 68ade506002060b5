"""Containers: their options, records and states, and everything that can be done to them."""
