"""Calibration: networks, fits, profiles."""
