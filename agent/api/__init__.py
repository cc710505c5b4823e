"""Client of the Audits API (WIRE 1 to 3): documents go as the server wrote them, errors say what it said.

Read in this order: ``client`` (the operations), ``session`` (one request, with retries), ``paging``, ``queries`` and
``dates`` (what may be asked, checked before anything is sent), ``edit`` (changes to a destination, pure).
"""
