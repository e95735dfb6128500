"""Telling people and machines: messages, channels, the outbox's dispatcher, escalation and the pulse."""
