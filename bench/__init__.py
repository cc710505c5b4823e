"""Measurements. Each is a module: ``./dev bench NAME [OPTIONS]``, for instance ``./dev bench bulk --lines 200000``."""
