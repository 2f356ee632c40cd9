"""Benchmarks: one file for each question, peers side by side on the same bytes. See README.md."""
