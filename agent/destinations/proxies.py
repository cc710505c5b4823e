"""Which proxy a request takes: ``delivery.proxy``, else HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.request import getproxies_environment, proxy_bypass

import httpx

if TYPE_CHECKING:
    from agent.config.model import Delivery

DIRECT = "none"
SCHEMES = ("http", "https")


def proxy_for(url: httpx.URL, delivery: Delivery) -> str | None:
    """Return the proxy's URL for a request to ``url``, None for a direct connection."""
    if delivery.proxy is not None:
        return None if delivery.proxy == DIRECT else delivery.proxy
    if proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxies = getproxies_environment()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found:
        return None
    return found if "://" in found else f"http://{found}"


def problems(delivery: Delivery) -> list[tuple[str, str, str]]:
    """Return what is wrong with ``delivery.proxy``; its password is not repeated."""
    if delivery.proxy is None or delivery.proxy == DIRECT:
        return []
    try:
        url = httpx.URL(delivery.proxy)
    except httpx.InvalidURL:
        return [("delivery.proxy", "no URL", "http://HOST:PORT, https://HOST:PORT, none")]
    if url.port is not None and not 0 < url.port <= 65535:
        return [("delivery.proxy", f"port {url.port}", "http://HOST:PORT with a port of 1 to 65535")]
    if url.scheme in SCHEMES and url.host:
        return []
    shown = f"{url.scheme}://{url.host}" if url.host else f"scheme {url.scheme!r} and no host"
    return [("delivery.proxy", shown, "http://HOST:PORT, https://HOST:PORT, none")]
