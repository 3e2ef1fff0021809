# The Hub is at /jupyter/ rather than at the root of its host.
c.JupyterHub.bind_url = "http://:8000/jupyter/"
c.JupyterHub.public_url = "http://hub.example.org:8000/jupyter/"
