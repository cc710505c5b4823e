"""Bytes of local files: which files belong together, which generation of which file is which, when there is more.

Knows nothing of events. Read ``family`` (names), ``identity`` (heads and marks), ``content`` (reading), ``stream``
(one generation of one file), ``resolve`` (file → stream), ``catalog`` (all streams of one source), ``wake`` (the doorbell).
"""
