"""``reconcile``: proves that every line of the configured files is at a receiver.

The lines are read with the agent's own sources, so they have the ids the agent gives them; beside a running agent, and
nothing of its state is changed. Read ``snapshot`` (what the state says), ``judge`` (one stream against what arrived of
it), ``report`` (the outcome), ``jsonl`` and ``collector`` (the two kinds of receiver), ``run`` (all of it in order).
"""
