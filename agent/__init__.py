"""The audit agent: ships a host's audit events to its audit destinations and loses none.

Every source is a set of append-only *streams* on disk, every destination is a *lane* that reads those streams at its
own *cursor*, and a cursor moves only past what its destination has settled::

    files ──► streams ──────────► lane (one per destination) ─────────────────────────► destination
              discover identify   read → parse → filter → queue → batch → encode → send
              wake                                                            │ one attempt:
                                                                              ▼ accepted / rejected / pending
              cursors in state.db ◄── settled prefix ◄── acks ◄── delivery policy (retry, back-off, rejects)

Read the files in this order: ``events`` (the plain data between the steps), ``lane/lane.py`` (the wiring of one
destination's pipeline), ``lane/delivery.py`` (the three kinds of failure), ``streams/`` (what a stream is and how it
is recognised), ``app/agent.py`` (configuration → a running agent).
"""

__version__ = "0.1.0"
