#!/bin/sh
# Starts one RabbitMQ of the cluster. All nodes must have the same cookie, which lets one command the others.
set -eu

cookie=/var/lib/rabbitmq/.erlang.cookie
rm -f "$cookie"
printf %s "$COOKIE" > "$cookie"
chmod 400 "$cookie"
# The image's own start script gives the files to its user, and becomes that user.
exec docker-entrypoint.sh rabbitmq-server
