"""The composition root: a configuration becomes a running agent. Read ``agent`` first, then ``lanes``, ``commit``."""
