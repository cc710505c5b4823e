"""One destination's pipeline: ``lane`` wires ``queue``, ``batch``, ``delivery``, ``retry``, ``acks``, ``rejects``."""
