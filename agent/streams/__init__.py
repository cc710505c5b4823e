"""Bytes of local files: which files belong together, which generation of which file is which, when there is more.

Knows nothing of events. Read ``family`` (names), ``identity`` (heads and marks), ``content`` (reading), ``places``
(looking at a file), ``stream`` (one generation of one file), ``evidence`` and ``copies`` (which stream a file holds),
``catalog`` (all streams of one source), ``wake`` (the doorbell), ``lines`` (what is read in one turn).
"""
