"""Runs of the command line in processes of their own, measured, and without an interpreter's start each time."""
