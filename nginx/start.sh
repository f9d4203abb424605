#!/bin/sh
# Writes what nginx.conf includes from place/, then becomes nginx. Arguments go to nginx: `start.sh -t` only checks.
#
# A script and not a template, since the number of instances varies, which substitution of variables cannot express; and so that
# docker compose, a host of its own and the tests all go the same way.
#
#   RIALTO_INSTANCES         required: NAME=HOST:PORT ..., the NAME being the RIALTO_INSTANCE of what listens there
#   RIALTO_MAX_BODY          bytes of a request's body, as the instances have it                        default 1000000
#   NGINX_HTTPS              [ADDRESS:]PORT of TLS and HTTP/2                                           default 443
#   NGINX_HTTP               [ADDRESS:]PORT without TLS                                                 default 80
#   NGINX_PLAIN              what is done there: `redirect` to https, or `serve` behind another proxy   default redirect
#   NGINX_CERTIFICATE, NGINX_KEY   PEM files; without them a self-signed pair is made and kept in NGINX_TLS_FOLDER
#   NGINX_NAMES              host names and addresses in the self-signed certificate                    default localhost 127.0.0.1
#   NGINX_TRUSTED            addresses of proxies before this one whose X-Forwarded-For is believed      default none
#   NGINX_REQUESTS           requests per second and client address, twice as many at once              default 500
#   NGINX_LOGINS             the same for /api/v1/auth/, five times as many at once                     default 20
#   NGINX_CONNECTIONS        connections per client address (a load test is one address)                default 4000
#   NGINX_WORKERS            worker processes                                                           default auto
#   NGINX_WORKER_CONNECTIONS each worker's connections, two per client                                  default 16384
#   NGINX_LOG                file of the access log; needed where stdout is a socket, as under systemd   default /dev/stdout
#   NGINX_FOLDER             everything that is written                                                 default /run/rialto-nginx
#   NGINX_USER               user of the workers, if started by root                                     default nginx's own
#   NGINX_PROGRAM            which nginx                                                                default nginx
set -eu

here=$(cd "$(dirname "$0")" && pwd)
nginx=${NGINX_PROGRAM:-nginx}
folder=${NGINX_FOLDER:-/run/rialto-nginx}
https=${NGINX_HTTPS:-443}
http=${NGINX_HTTP:-80}
requests=${NGINX_REQUESTS:-500}
logins=${NGINX_LOGINS:-20}

fail() {
    echo "start.sh: $*" >&2
    exit 2
}

[ -n "${RIALTO_INSTANCES:-}" ] || fail "RIALTO_INSTANCES must be set: NAME=HOST:PORT ..."
for instance in $RIALTO_INSTANCES; do
    echo "$instance" | grep -Eqx '[a-z0-9][a-z0-9-]{0,30}=[][A-Za-z0-9._:-]+:[0-9]+' || fail "RIALTO_INSTANCES: not NAME=HOST:PORT: $instance"
done

mkdir -p "$folder/place"
cd "$folder"
ln -sfn "$here/nginx.conf" nginx.conf
ln -sfn "$here/static" static

# -- processes ----------------------------------------------------------------------------------------------------------------

ulimit -n "$(ulimit -Hn)" || true
{
    echo "worker_processes ${NGINX_WORKERS:-auto};"
    [ -z "${NGINX_USER:-}" ] || echo "user $NGINX_USER;"
} > place/process.conf
echo "worker_connections ${NGINX_WORKER_CONNECTIONS:-16384};" > place/events.conf
echo "access_log ${NGINX_LOG:-/dev/stdout} json;" > place/log.conf

# -- instances ----------------------------------------------------------------------------------------------------------------
# REST, new sockets, and event sources with long polls count their connections apart: an instance that has just been started has
# no sockets yet, and must not be sent every request for that. One refused or lost request in four does not make an instance bad;
# three in as many seconds do, for three seconds. No such accounts are kept where connections last: nginx learns that an instance
# is good again when one ends, and until then tries it once in three seconds.

group() {
    echo "upstream $1 {"
    echo "    zone $1 256k;"
    echo "    least_conn;"
    for instance in $RIALTO_INSTANCES; do
        echo "    server ${instance#*=} $2;"
    done
    echo "    keepalive 64;"
    echo "    keepalive_timeout 60s;"  # shorter than the instances', so that none closes on a request that is on its way
    echo "}"
}

{
    group rialto "max_fails=3 fail_timeout=3s"
    group rialto-sockets max_fails=0
    group rialto-streams max_fails=0
    for instance in $RIALTO_INSTANCES; do
        echo "upstream instance-${instance%%=*} {"
        echo "    server ${instance#*=};"
        echo "    keepalive 64;"
        echo "    keepalive_timeout 60s;"
        echo "}"
    done
    echo 'map $arg_sid $socket_upstream {'
    echo "    default rialto-sockets;"
    for instance in $RIALTO_INSTANCES; do
        echo "    \"~^${instance%%=*}\\.\" instance-${instance%%=*};"
    done
    echo "}"
} > place/instances.conf

# -- limits -------------------------------------------------------------------------------------------------------------------

{
    echo "client_max_body_size ${RIALTO_MAX_BODY:-1000000};"
    echo "limit_req_zone \$binary_remote_addr zone=requests:10m rate=${requests}r/s;"
    echo "limit_req_zone \$binary_remote_addr zone=logins:10m rate=${logins}r/s;"
    echo "limit_conn_zone \$binary_remote_addr zone=addresses:10m;"
    for proxy in ${NGINX_TRUSTED:-}; do
        echo "set_real_ip_from $proxy;"
    done
    [ -z "${NGINX_TRUSTED:-}" ] || printf '%s\n' "real_ip_header X-Forwarded-For;" "real_ip_recursive on;"
} > place/limits.conf
{
    echo "limit_req zone=requests burst=$((requests * 2)) nodelay;"
    echo "limit_conn addresses ${NGINX_CONNECTIONS:-4000};"
} > place/requests.conf
echo "limit_req zone=logins burst=$((logins * 5)) nodelay;" > place/logins.conf

# -- certificate --------------------------------------------------------------------------------------------------------------

certificate=${NGINX_CERTIFICATE:-}
key=${NGINX_KEY:-}
if [ -z "$certificate" ]; then
    tls=${NGINX_TLS_FOLDER:-$folder/tls}
    certificate=$tls/certificate.pem
    key=$tls/key.pem
    if ! openssl x509 -checkend 86400 -noout -in "$certificate" > /dev/null 2>&1; then
        names=""
        for name in ${NGINX_NAMES:-localhost 127.0.0.1}; do
            case $name in
                *:*) names="$names,IP:$name" ;;
                *[!0-9.]*) names="$names,DNS:$name" ;;
                *) names="$names,IP:$name" ;;
            esac
        done
        mkdir -p "$tls"
        (
            umask 077
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj "/CN=Rialto" \
                -addext "subjectAltName=${names#,}" -keyout "$key.new" -out "$certificate.new" 2> openssl.log \
                || { cat openssl.log >&2; exit 1; }
        )
        mv "$key.new" "$key"
        mv "$certificate.new" "$certificate"
        chmod 644 "$certificate"
    fi
fi

# -- addresses ----------------------------------------------------------------------------------------------------------------

minor=$("$nginx" -v 2>&1 | sed -n 's,.*nginx/1\.\([0-9]*\)\..*,\1,p')
{
    if [ "${minor:-0}" -gt 25 ]; then  # it is said apart since 1.25.1
        echo "listen $https ssl backlog=4096 so_keepalive=on;"
        echo "http2 on;"
    else
        echo "listen $https ssl http2 backlog=4096 so_keepalive=on;"
    fi
    [ "${NGINX_PLAIN:-redirect}" != serve ] || echo "listen $http backlog=4096 so_keepalive=on;"
    echo "ssl_certificate $certificate;"
    echo "ssl_certificate_key $key;"
} > place/listen.conf
case ${NGINX_PLAIN:-redirect} in
    redirect) echo "server { listen $http; server_name _; return 308 https://\$host\$request_uri; }" > place/redirect.conf ;;
    serve) : > place/redirect.conf ;;
    *) fail "NGINX_PLAIN: redirect or serve" ;;
esac

exec "$nginx" -p "$folder/" -c nginx.conf -e stderr -g "daemon off;" "$@"
