#!/bin/sh
# One step of an autoscaler for a Docker Swarm service; run it every 15 seconds (a timer, a cron job, a loop).
#   swarm.sh SERVICE MIN MAX [PROMETHEUS_URL]
# The query holds for five minutes before it lowers. No answer, an empty one or rubbish changes nothing.
set -eu
service=$1 min=$2 max=$3 prometheus=${4:-http://prometheus:9090}

want=$(curl --silent --fail --max-time 5 --get "$prometheus/api/v1/query" \
  --data-urlencode "query=max(service:containerpilot_scaling_wanted:ceil_max5m{service=\"$service\"})" |
  sed -n 's/.*"value":\[[0-9.]*,"\([0-9][0-9]*\)"\].*/\1/p') || want=
case $want in
  '' | *[!0-9]*) echo "swarm: no recommendation for $service: nothing is changed" >&2; exit 0 ;;
esac
[ "$want" -ge "$min" ] || want=$min
[ "$want" -le "$max" ] || want=$max
have=$(docker service inspect --format '{{.Spec.Mode.Replicated.Replicas}}' "$service")
[ "$want" -eq "$have" ] || docker service scale --detach "$service=$want"
