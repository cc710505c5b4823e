"""One destination's pipeline. Read ``lane`` (the wiring), then ``queue``, ``batch``, ``delivery``, ``retry``, ``acks``."""
