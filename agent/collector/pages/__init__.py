"""Pages for people: server-rendered, a little script, nothing from elsewhere.

Read ``session`` (who may look), ``render`` (templates and headers), ``shown`` (hostile text made visible), ``plot``,
then a file for each page. A page is plain HTML that works without the script.
"""

from agent.collector.pages.routes import page_routes

__all__ = ["page_routes"]
