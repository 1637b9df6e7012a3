#!/bin/sh
# Runs nginx in the foreground on 127.0.0.1:$WEB_PORT (default 8080); its files stay in ./nginx.
set -eu
PATH=$PATH:/usr/sbin
mkdir -p nginx
sed "s/@PORT@/${WEB_PORT:-8080}/" nginx.conf.in >nginx/nginx.conf
exec nginx -p "$PWD/nginx/" -e stderr -c nginx.conf -g 'daemon off;'
