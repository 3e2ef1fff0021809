# The Hub's proxy listens for nginx only, and links begin with https.
c.JupyterHub.bind_url = "http://127.0.0.1:8000/"
c.JupyterHub.public_url = "https://hub.example.org/"
