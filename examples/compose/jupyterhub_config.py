import os

c = get_config()

c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.hub_connect_ip = "hub"
c.JupyterHub.db_url = "sqlite:////data/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/data/cookie_secret"

# To try it: whoever knows the users' password may be anybody but the admin.
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.admin_password = os.environ["ADMIN_PASSWORD"]
c.SharedPasswordAuthenticator.user_password = os.environ["USERS_PASSWORD"]
c.Authenticator.admin_users = {"admin"}
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.image = "ngshare-singleuser"
c.DockerSpawner.network_name = "ngshare"
c.DockerSpawner.volumes = {"ngshare-home-{username}": "/home/jovyan"}
c.DockerSpawner.remove = True
# Something must reap what kernels leave behind.
c.DockerSpawner.extra_host_config = {"init": True}
c.DockerSpawner.environment = {"NGSHARE_URL": "http://ngshare:8080/services/ngshare/"}

c.JupyterHub.services = [
    {
        "name": "ngshare",
        "url": "http://ngshare:8080",
        "api_token": os.environ["NGSHARE_TOKEN"],
        "oauth_no_confirm": True,
    }
]
# So that they may open ngshare's pages.
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=ngshare"]},
]
