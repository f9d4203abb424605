"""What the files for other machines say: the image, docker compose, Prometheus, Grafana. Checked by the programs that read them.

No Docker engine is needed, so nothing here starts a container: that the images of others (MongoDB, Valkey, nginx, Prometheus,
Grafana) start as composed is not proved here.
"""
