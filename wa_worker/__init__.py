"""Keeps many WhatsApp sessions alive for a SaaS back end and moves its messages."""

__version__ = "0.1.0"
