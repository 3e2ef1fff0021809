"""Where the server is, if nobody says so: what the environment tells."""

from __future__ import annotations

import os

from ngshare.errors import NotConfigured

SERVICE = "services/ngshare/"


def find_url() -> str:
    """The URL of this site's ngshare.

    Raises:
        NotConfigured: the environment does not tell.
    """
    return find_url_and_origin()[0]


def find_url_and_origin() -> tuple[str, str]:
    """The same, with what it was taken from.

    NGSHARE_URL counts first. Beside Kubernetes' service proxy-public (the name that Zero to
    JupyterHub gives to the Hub's proxy) ngshare is behind that, as ngshare_exchange has always
    assumed. Other Hubs tell their public URL, if they know it:
    https://jupyterhub.readthedocs.io/en/stable/reference/services.html

    Raises:
        NotConfigured: the environment does not tell.
    """
    if url := os.environ.get("NGSHARE_URL", "").strip():
        return url, "the environment variable NGSHARE_URL"
    if os.environ.get("PROXY_PUBLIC_SERVICE_HOST"):
        base = os.environ.get("JUPYTERHUB_BASE_URL", "/")
        return f"http://proxy-public{base}{SERVICE}", "Kubernetes' service proxy-public"
    if hub_url := os.environ.get("JUPYTERHUB_PUBLIC_HUB_URL"):
        base = hub_url.rstrip("/").removesuffix("/hub")
        return f"{base}/{SERVICE}", "the Hub's JUPYTERHUB_PUBLIC_HUB_URL"
    raise NotConfigured(
        "Nothing tells where ngshare is: set the environment variable NGSHARE_URL, for example "
        "to https://hub.example.org/services/ngshare/"
    )
