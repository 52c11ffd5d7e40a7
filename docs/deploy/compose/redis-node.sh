#!/bin/sh
# Starts one Redis behind Sentinel. Its configuration lies in the data folder, because Sentinel rewrites
# it: who was primary must still be so after a restart of everything.
#
# REPLICA_OF  "<host> <port>" of the first primary; empty for that one itself
# ANNOUNCE    the name or address by which others reach this Redis
# DATA_DIR, CONFIG_DIR, PORT  for other places than the image's
set -eu

data="${DATA_DIR:-/data}"
config="$data/redis.conf"
if [ ! -f "$config" ]; then
  {
    cat "${CONFIG_DIR:-/etc/knell}/redis.conf"
    echo "dir $data"
    echo "port ${PORT:-6379}"
    echo "replica-announce-ip $ANNOUNCE"
    [ -z "${REPLICA_OF:-}" ] || echo "replicaof $REPLICA_OF"
  } > "$config.new"
  mv "$config.new" "$config"
fi
exec redis-server "$config"
