"""Tests of the simulated WhatsApp, through the real neonize."""
