"""What destinations refused for good, on disk before a cursor passes it.

``writer`` appends, ``bound`` lets the oldest go, ``reader`` finds, ``rewrite`` takes out or replaces; ``folders`` says
where and holds the lock that all of them take, ``record`` is one refused event: one JSON object a line.
"""

from agent.lane.rejects.record import Reject
from agent.lane.rejects.writer import Rejects

__all__ = ["Reject", "Rejects"]
