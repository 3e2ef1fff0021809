# Everybody's notebook server, and every service, has a host name of its own.
c.JupyterHub.subdomain_host = "https://hub.example.org"
c.Spawner.environment = {
    "NGSHARE_URL": "https://ngshare--service.hub.example.org/services/ngshare/",
}
