"""Configurations of web servers in front: nginx, Apache, lighttpd, HAProxy.

Owns their languages. The facts come from `deploy_site`; each function gives the text of a file. Folders of static files
are served by the front where it has files; hidden names and links in them are refused, as `Static` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from wsgikit.cli.deploy_site import Folder, Site
from wsgikit.errors import ConfigError

WIRES = {
    "nginx": ("fastcgi", "uwsgi", "scgi", "http"),
    "apache": ("fastcgi", "uwsgi", "scgi", "http"),
    "lighttpd": ("fastcgi", "scgi", "uwsgi", "http"),
    "haproxy": ("fastcgi", "http"),
}


def _top(site: Site, *lines: str) -> Iterator[str]:
    yield from (f"# {line}".rstrip() for line in lines)
    yield from (f"# Note: {note}" for note in site.notes)
    yield ""


def _mib(size: int) -> int:
    return -(-size // (1 << 20))


# nginx

_PASS = {"http": "proxy", "fastcgi": "fastcgi", "scgi": "scgi", "uwsgi": "uwsgi"}
_PARAMS = {
    "fastcgi": (
        "fastcgi_keep_conn on;",
        "include /etc/nginx/fastcgi_params;",
        "fastcgi_param HTTP_HOST {host};",
    ),
    "scgi": ("include /etc/nginx/scgi_params;", "scgi_param HTTP_HOST {host};"),
    "uwsgi": ("include /etc/nginx/uwsgi_params;", "uwsgi_param HTTP_HOST {host};"),
    "http": (
        "proxy_http_version 1.1;",
        'proxy_set_header Connection "";',
        "proxy_set_header Host {host};",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_set_header X-Forwarded-Port $server_port;",
    ),
}


def nginx(site: Site, listen: str) -> str:
    """A site for /etc/nginx/sites-available."""
    upstream = f"{site.name}_app"
    server = f"unix:{site.place}" if site.is_unix else site.place
    keeps = site.wire in ("http", "fastcgi")
    method = _PASS[site.wire]
    target = f"http://{upstream}" if site.wire == "http" else upstream
    host = f"${re.sub('[^A-Za-z0-9]', '_', site.name)}_host"
    lines = [
        *_top(site, f"/etc/nginx/sites-available/{site.name}: nginx in front of wsgikit over {site.wire}",
              "Made by `wsgikit deploy nginx`; then: nginx -t && systemctl reload nginx"),
        "# The host that the client means: the target's, where it names one (RFC 9112 3.2.2)",
        f'map $http_host {host}_field {{ "" $host; default $http_host; }}',
        rf'map $request {host} {{ "~*^\S+ https?://([^/?#\s]+)" $1; default {host}_field; }}',
        "",
        f"upstream {upstream} {{",
        f"    server {server};",
        *(["    keepalive 16;", f"    keepalive_timeout {site.idle}s;"] if keeps else []),
        "}",
        "",
        "server {",
        f"    listen {listen};",
        f"    server_name {' '.join(site.hosts) or '_'};",
        f"    client_max_body_size {f'{_mib(site.max_body)}m' if site.max_body else '0'};",
        *_indent(_nginx_folders(site.folders), 1),
        "",
        "    location / {",
        "        try_files /nonexistent @app;",
        "    }",
        "",
        "    location @app {",
        f"        {method}_pass {target};",
        f"        {method}_read_timeout {site.patience}s;",
        f"        {method}_buffering off;  # blocks go on at once; wsgikit keeps what slow clients do not take",
        *_indent((line.format(host=host) for line in _PARAMS[site.wire]), 2),
        "    }",
        "}",
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def _nginx_folders(folders: Iterable[Folder]) -> Iterator[str]:
    for folder in folders:
        yield ""
        yield f"location ^~ {folder.url} {{"
        yield f"    alias {folder.directory}/;"
        yield "    disable_symlinks on;"
        yield "    expires 60s;"
        yield "    log_not_found off;"
        yield "    # what is no file there is the app's"
        yield "    error_page 403 404 405 = @app;"
        yield r"    location ~ /\. { return 404; }"
        yield "}"


# Apache

_MODULES = {"http": "proxy_http", "fastcgi": "proxy_fcgi", "scgi": "proxy_scgi", "uwsgi": "proxy_uwsgi"}
_SCHEMES = {"http": "http", "fastcgi": "fcgi", "scgi": "scgi", "uwsgi": "uwsgi"}


def apache(site: Site, listen: str) -> str:
    """A site for /etc/apache2/sites-available."""
    modules = [
        "proxy",
        _MODULES[site.wire],
        *(["headers"] if site.wire == "http" else []),
        *(["alias"] if site.folders else []),
    ]
    scheme = _SCHEMES[site.wire]
    target = f"unix:{site.place}|{scheme}://localhost/" if site.is_unix else f"{scheme}://{site.place}/"
    options = {"http": f" nocanon ttl={site.idle}", "fastcgi": f" enablereuse=on ttl={site.idle}"}.get(site.wire, "")
    decode = "On" if site.wire == "uwsgi" else "NoDecode"
    port = listen.rpartition(":")[2]
    names = [f"ServerName {site.hosts[0]}", *(f"ServerAlias {name}" for name in site.hosts[1:])] if site.hosts else []
    headers = [
        "ProxyPreserveHost On",
        'RequestHeader set X-Forwarded-Proto "expr=%{REQUEST_SCHEME}"',
        'RequestHeader set X-Forwarded-Port "expr=%{SERVER_PORT}"',
    ]
    inside = [
        *names,
        f"LimitRequestBody {min(site.max_body, 2**31 - 1)}",
        f"ProxyTimeout {site.patience}",
        f"AllowEncodedSlashes {decode}",
        *_apache_folders(site.folders),
        *(headers if site.wire == "http" else []),
        f'ProxyPass "/" "{target}" flushpackets=on{options}',
    ]
    lines = [
        *_top(site, f"/etc/apache2/sites-available/{site.name}.conf: Apache in front of wsgikit over {site.wire}",
              f"Made by `wsgikit deploy apache`; needs: a2enmod {' '.join(modules)} && a2ensite {site.name}"),
        f"<VirtualHost *:{port}>",
        *_indent(inside, 1),
        "</VirtualHost>",
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def _apache_folders(folders: Iterable[Folder]) -> Iterator[str]:
    for folder in folders:
        yield f'Alias "{folder.url}" "{folder.directory}/"'
        yield f'<Directory "{folder.directory}">'
        yield "    Options None"
        yield "    AllowOverride None"
        yield "    Require all granted"
        yield "</Directory>"
        yield rf'<LocationMatch "^{folder.url}(.*/)?\.">'
        yield "    Require all denied"
        yield "</LocationMatch>"
        yield f'ProxyPass "{folder.url}" "!"'


# lighttpd


def lighttpd(site: Site, listen: str) -> str:
    """A file for /etc/lighttpd/conf-available. Others may have assigned the same lists before it: hence += and :=."""
    port = listen.rpartition(":")[2]
    modules = {"http": "mod_proxy", "fastcgi": "mod_fastcgi"}.get(site.wire, "mod_scgi")
    key = {"http": "proxy.server", "fastcgi": "fastcgi.server"}.get(site.wire, "scgi.server")
    host, tcp = site.host_port if not site.is_unix else ("", "")
    where = f'"socket" => "{site.place}"' if site.is_unix else f'"host" => "{host}", "port" => {tcp}'
    if site.is_unix and site.wire == "http":
        where = f'"host" => "{site.place}"'
    more = "" if site.wire == "http" else ', "check-local" => "disable", "fix-root-scriptname" => "enable"'
    handler = f'{key} += ( "{"" if site.wire == "http" else "/"}" => (( {where}{more} )) )'
    app = [
        *(['scgi.protocol = "uwsgi"'] if site.wire == "uwsgi" else []),
        "server.stream-response-body = 1",
        handler,
    ]
    if site.wire == "http":
        app.insert(0, f'setenv.add-request-header += ( "X-Forwarded-Port" => "{port}" )')
    lax = [
        *(['"url-path-2f-decode" => "disable"'] if site.wire == "http" else []),
        '"url-invalid-utf8-reject" => "disable"',
    ]
    names = [
        modules,
        *(["mod_setenv"] if site.wire == "http" else []),
        *(["mod_alias", "mod_access"] if site.folders else []),
    ]
    lines = [
        *_top(site, f"/etc/lighttpd/conf-available/90-{site.name}.conf: lighttpd in front of wsgikit over {site.wire}",
              f"Made by `wsgikit deploy lighttpd`; then: lighty-enable-mod {site.name} && systemctl restart lighttpd"),
        f"server.modules += ( {', '.join(f'{chr(34)}{name}{chr(34)}' for name in names)} )",
        "# what a path means is for the app to judge",
        f"server.http-parseopts := ( {', '.join(lax)} )",
        f"server.max-request-size = {-(-site.max_body // 1024)}",
        *_lighttpd_app(site, app),
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def _lighttpd_app(site: Site, app: list[str]) -> Iterator[str]:
    inside = list(app)
    if site.folders:
        aliases = ", ".join(f'"{folder.url}" => "{folder.directory}/"' for folder in site.folders)
        paths = "|".join(folder.url for folder in site.folders)
        inside = [
            f"alias.url += ( {aliases} )",
            f'$HTTP["url"] =~ "^({paths})" {{',
            '    server.follow-symlink = "disable"',
            r'    $HTTP["url"] =~ "/\." { url.access-deny = ( "" ) }',
            "}",
            f'$HTTP["url"] !~ "^({paths})" {{',
            *_indent(app, 1),
            "}",
        ]
    if not site.hosts:
        yield from inside
        return
    names = "|".join(name.replace(".", r"\.").replace(r"*\.", r"[^:]+\.") for name in site.hosts)
    yield f'$HTTP["host"] =~ "^({names})(:[0-9]+)?$" {{'
    yield from _indent(inside, 1)
    yield "}"


# HAProxy


def haproxy(site: Site, listen: str) -> str:
    """Sections for /etc/haproxy/haproxy.cfg."""
    bind = listen if ":" in listen else f":{listen}"
    server = f"unix@{site.place}" if site.is_unix else site.place
    is_fastcgi = site.wire == "fastcgi"
    app = [
        f"fcgi-app {site.name}_app",
        f"    docroot {site.folder}",
        "    option keep-conn",
        "    option get-values",
        "    option mpxs-conns",
        "    option max-reqs 20",
        "",
    ]
    forwarded = [
        "    option forwardfor",
        "    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
        "    http-request set-header X-Forwarded-Port %[dst_port]",
    ]
    use_app = [f"    use-fcgi-app {site.name}_app", "    http-reuse always"]
    hosts = [f"    acl {site.name}_host hdr(host),field(1,:) -i {' '.join(site.hosts)}"] if site.hosts else []
    use = f"    use_backend {site.name} if {site.name}_host" if site.hosts else f"    default_backend {site.name}"
    lines = [
        *_top(site, "Sections for /etc/haproxy/haproxy.cfg, in front of wsgikit over " + site.wire,
              "Made by `wsgikit deploy haproxy`; then: haproxy -c -f /etc/haproxy/haproxy.cfg"),
        *(app if is_fastcgi else []),
        f"frontend {site.name}_web",
        "    mode http",
        f"    bind {bind}",
        "    timeout client 60s",
        *hosts,
        use,
        "",
        f"backend {site.name}",
        "    mode http",
        "    timeout connect 5s",
        f"    timeout server {site.patience}s",
        *(use_app if is_fastcgi else [*forwarded, "    http-reuse safe"]),
        f"    server app1 {server}{' proto fcgi' if is_fastcgi else ''}",
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def _indent(lines: Iterable[str], depth: int) -> list[str]:
    return [("    " * depth + line).rstrip() for line in lines]


FRONTS = {"nginx": nginx, "apache": apache, "lighttpd": lighttpd, "haproxy": haproxy}


def front(kind: str, site: Site, listen: str) -> str:
    """The text of a front's configuration. ConfigError: `listen` is no address."""
    port = listen.rpartition(":")[2]
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"--listen {listen}: a port, or an address with a port")
    return FRONTS[kind](site, listen)
