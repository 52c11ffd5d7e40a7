#!/bin/sh
# Starts one Sentinel. Its configuration lies in the data folder, because Sentinel rewrites it.
#
# ANNOUNCE  the name or address by which others reach this Sentinel
# PRIMARY   "<host> <port>" of the first primary, where it is another than in sentinel.conf
# DATA_DIR, CONFIG_DIR, PORT  for other places than the image's
set -eu

data="${DATA_DIR:-/data}"
config="$data/sentinel.conf"
if [ ! -f "$config" ]; then
  {
    echo "dir $data"
    echo "port ${PORT:-26379}"
    sed "s/redis-1 6379/${PRIMARY:-redis-1 6379}/" "${CONFIG_DIR:-/etc/knell}/sentinel.conf"
    echo "sentinel announce-ip $ANNOUNCE"
  } > "$config.new"
  mv "$config.new" "$config"
fi
exec redis-server "$config" --sentinel
