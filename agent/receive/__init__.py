"""Taking in bulk audit events over HTTP (WIRE 4): what the collector and the source ``http`` have in common.

``guard`` (who may call), ``body`` and ``limits`` (how much), ``envelope`` and ``split`` (is each event valid).
"""
