"""The options table. Every option of the server stands here, once.

From a row follow the flag of `wsgikit serve`, the key in `wsgikit.toml`, the environment variable, and the line in the
reference. Defaults stand in the settings of the rooms (`home`); a test holds the two together, field by field.
Keep the help to one line that a person who has never seen the option understands.
"""

from __future__ import annotations

from functools import partial

from wsgikit.config.kinds import Choice, Duration, FilePath, Flag, Integer, Mode, Network, Pairs, Several, Size, Text
from wsgikit.config.listen import Listen
from wsgikit.config.option import Option

START = "wsgikit.config.settings:StartSettings"
MASTER = "wsgikit.master.settings:MasterSettings"
GROUP = "wsgikit.master.settings:GroupSettings"
BIND = "wsgikit.master.settings:BindSettings"
TLS = "wsgikit.master.settings:TlsSettings"
CERTIFICATE = "wsgikit.master.settings:CertificateSettings"
WORKER = "wsgikit.workers.settings:WorkerSettings"
LIMITS = "wsgikit.wire.http11.limits:Limits"
LOG = "wsgikit.observe.settings:LogSettings"

_HOOK = Text("the name of a function: package.module:name")
_PORTS = "`host:port`, `:port`, `unix:/path`, `fd://N`, or `fastcgi://host:port` and the like"

_start = partial(Option, home=START, section="What to serve")
_bind = partial(Option, home=BIND, section="Where to listen")
_tls = partial(Option, home=TLS, section="TLS")
_process = partial(Option, home=MASTER, section="Processes")
_thread = partial(Option, home=WORKER, section="Threads and requests", inner=True)
_time = partial(Option, home=WORKER, section="Timeouts", inner=True)
_limit = partial(Option, home=WORKER, section="Limits", inner=True)
_wire = partial(Option, home=LIMITS, section="Limits")
_log = partial(Option, home=LOG, section="Logs")
_develop = partial(Option, home=MASTER, section="Development")

# each holds for every listener, and may stand in one: bind = [{ address = "unix:/run/a.sock", socket_mode = "660" }]
_LISTENERS = (
    _bind(name="backlog", kind=Integer(1, 65535), help="Connections the kernel holds until a worker takes them"),
    _bind(name="reuse_port", kind=Flag(), help="Let another process bind the same address (SO_REUSEPORT)"),
    _bind(
        name="socket_mode",
        field="mode",
        kind=Mode(),
        help="Permission bits of Unix sockets; without it the umask decides",
    ),
    _bind(
        name="trusted",
        kind=Several(Network()),
        flags=("--forwarded-allow-ips",),
        help="Addresses and networks (CIDR) whose Forwarded fields and PROXY headers are believed",
    ),
    _bind(
        name="forwarded",
        kind=Choice(("x-forwarded", "forwarded", "")),
        help="Header family that trusted proxies send; empty: none is believed",
    ),
    _bind(
        name="proxy_protocol", kind=Flag(), help="Connections from trusted addresses begin with a PROXY protocol header"
    ),
    _bind(name="takeover", kind=Flag(), help="Let apps take the socket over, for Upgrade and CONNECT"),
)

OPTIONS: tuple[Option, ...] = (
    _start(
        name="app",
        kind=Text("package.module:name"),
        help="App where there is no `[[mount]]`: `pkg.mod:app`, `pkg.mod:factory()`, or a Paste file",
    ),
    _start(name="chdir", kind=FilePath(must="folder"), help="Folder to work in; modules are looked for there"),
    _start(
        name="pythonpath",
        kind=Several(FilePath(must="folder")),
        help="Folders to look for modules in, before all others",
    ),
    _start(
        name="on_import_error",
        kind=Choice(("503", "stop")),
        help="An app among several that fails to import at the start: answers `503`, or `stop`s the start",
    ),
    _start(name="env", kind=Pairs(), inner=True, flags=("-e",), help="Environment variable for the apps"),
    _bind(name="bind", field="address", kind=Listen(_LISTENERS), flags=("-b",), help=f"Address to listen on: {_PORTS}"),
    *_LISTENERS,
    _tls(
        name="certfile",
        field="cert",
        home=CERTIFICATE,
        kind=FilePath(must="file"),
        help="Certificate with its chain, PEM; several go into `tls` in the file",
    ),
    _tls(
        name="keyfile",
        field="key",
        home=CERTIFICATE,
        kind=FilePath(must="file"),
        help="Private key, PEM; without it, in the certificate's file",
    ),
    _tls(
        name="ca_certs",
        field="client_ca",
        kind=FilePath(must="file"),
        help="Authorities that sign client certificates, PEM",
    ),
    _tls(name="client_cert", kind=Choice(("none", "optional", "required")), help="Whether clients need a certificate"),
    _tls(name="tls_minimum", field="minimum", kind=Choice(("1.2", "1.3")), help="Lowest TLS version"),
    _tls(name="ciphers", kind=Text(), help="OpenSSL cipher string for TLS 1.2"),
    _tls(name="alpn", kind=Several(Text()), help="Protocols offered by ALPN, the preferred one first"),
    _process(
        name="workers",
        kind=Integer(1, 1024, "auto"),
        flags=("-w",),
        variables=("WEB_CONCURRENCY",),
        inner=True,
        help="Worker processes; `auto`: one for each CPU this process may use",
    ),
    _process(
        name="preload",
        kind=Flag(),
        inner=True,
        help="Load the apps once, before the workers are forked, so that they share memory",
    ),
    _process(
        name="graceful_timeout",
        kind=Duration(),
        help="How long a worker that was told to leave may finish its requests",
    ),
    _process(
        name="worker_timeout",
        kind=Duration(),
        help="A worker whose heartbeat stands still for so long is replaced; 0: never",
    ),
    _process(
        name="start_timeout", kind=Duration(), help="How long a new worker may take until it is ready; 0: no limit"
    ),
    _process(name="pid", kind=FilePath(), flags=("-p",), help="File for the process id of the master"),
    _process(
        name="user", kind=Text("a user's name or number"), flags=("-u",), inner=True, help="User the workers run as"
    ),
    _process(
        name="unix_group",
        field="group",
        kind=Text("a group's name or number"),
        flags=("-g", "--group"),
        inner=True,
        help="Unix group the workers run as",
    ),
    _process(name="umask", kind=Mode(), flags=("-m",), help="Permission bits that new files do not get"),
    _process(
        name="address_space",
        home=GROUP,
        kind=Size(),
        inner=True,
        help="Hard limit of a worker's virtual memory (RLIMIT_AS); 0: none",
    ),
    _process(name="shared_memory", kind=Size(4096), help="Memory for tables that middleware shares between workers"),
    _process(name="on_worker_start", kind=_HOOK, help="Function called in every new worker, `pkg.mod:function`"),
    _process(name="on_worker_exit", kind=_HOOK, help="Function called in a worker on its way out, `pkg.mod:function`"),
    _thread(
        name="threads",
        kind=Integer(1, 4096),
        help="Threads of a worker; 1 makes it an event loop that runs the app inline",
    ),
    _thread(
        name="connections",
        kind=Integer(1),
        flags=("--worker-connections",),
        help="Open connections a worker holds; one more is answered 503",
    ),
    _thread(name="multiplex", kind=Integer(1, 65535), help="Requests that one FastCGI connection may carry at a time"),
    _thread(name="max_requests", kind=Integer(), help="Requests after which a worker is replaced; 0: never"),
    _thread(
        name="max_requests_jitter",
        kind=Integer(),
        help="Random addition to max_requests, so that workers do not all go at once",
    ),
    _thread(name="max_rss", kind=Size(), help="Resident memory above which a worker is replaced; 0: never"),
    _thread(
        name="body",
        kind=Choice(("spool", "stream")),
        help="`spool` reads a request body before the app runs, `stream` lets the app read it",
    ),
    _thread(
        name="lead_slow",
        kind=Duration(),
        help="Calls that take longer on average hand the poller to another thread first",
    ),
    _thread(name="lead_long", kind=Duration(), help="A call that takes longer loses the poller to another thread"),
    _thread(name="poller", kind=Choice(("auto", "epoll", "selectors")), help="How readable connections are found"),
    _thread(
        name="server_header",
        kind=Text("a value for the Server field"),
        help="Server field, used when the app sets none; empty: no such field",
    ),
    _time(
        name="timeout",
        kind=Duration(),
        flags=("-t",),
        help="How long the app may work on a request, then 504; 0: no limit",
    ),
    _time(
        name="interrupt_grace",
        kind=Duration(),
        help="How long an interrupted thread may take to come back before its worker is replaced",
    ),
    _time(
        name="keep_alive", kind=Duration(), help="How long an idle connection is kept; 0 closes after every response"
    ),
    _time(
        name="head_timeout", kind=Duration(), help="How long a request's head and a TLS handshake may take, then 408"
    ),
    _time(
        name="body_timeout",
        kind=Duration(),
        help="How long a request body may take at the least, then body_rate counts",
    ),
    _time(name="body_rate", kind=Size(), help="Bytes a second a request body must bring on average, then 408; 0: any"),
    _time(name="send_timeout", kind=Duration(), help="A client that takes nothing of a response for so long is reset"),
    _time(
        name="send_rate", kind=Size(), help="Bytes a second a client must take on average after send_timeout; 0: any"
    ),
    _time(name="linger", kind=Duration(), help="How long a connection that is being closed is still read"),
    _time(
        name="idle_grace",
        kind=Duration(),
        help="How long idle connections may send one more request at a graceful stop",
    ),
    _limit(name="max_body", kind=Size(), help="Largest request body, then 413; 0: no limit"),
    _limit(name="body_memory", kind=Size(), help="Part of a request body kept in memory; the rest goes to a file"),
    _limit(
        name="output_memory",
        kind=Size(),
        help="Response bytes kept in memory for a slow client; the rest goes to a file",
    ),
    _limit(
        name="output_spool", kind=Size(), help="Response bytes kept in a file for a slow client; then the app waits"
    ),
    _limit(
        name="unsent", kind=Size(), help="Response bytes that the kernel holds unsent for one connection; 0: its own"
    ),
    _limit(name="spool_dir", kind=FilePath(must="folder"), help="Folder for temporary files; empty: the system's"),
    _limit(
        name="drain",
        kind=Size(),
        help="Unread request body that is read to keep the connection; with more it is closed",
    ),
    _wire(
        name="limit_request_line", field="request_line", kind=Size(16), help="Longest request line, in bytes, then 414"
    ),
    _wire(
        name="limit_request_fields", field="fields", kind=Integer(1, 32768), help="Most field lines in a head, then 431"
    ),
    _wire(
        name="limit_request_field_size",
        field="field",
        kind=Size(16),
        flags=("--limit-request-field_size",),
        help="Longest field line, in bytes, then 431",
    ),
    _wire(name="limit_head", field="head", kind=Size(64), help="Longest request head, in bytes, then 431"),
    _wire(name="limit_method", field="method", kind=Integer(1, 1024), help="Longest method, in bytes, then 501"),
    _wire(
        name="limit_empty_lines",
        field="head_lines",
        kind=Integer(0, 1024),
        help="Empty lines skipped before a request line, then 400",
    ),
    _wire(
        name="limit_chunk_line", field="chunk_line", kind=Size(16), help="Longest chunk-size line, in bytes, then 400"
    ),
    _wire(name="limit_trailer", field="trailer", kind=Size(), help="Longest trailer section, in bytes, then 431"),
    _log(
        name="access_logfile",
        kind=FilePath(("off", "-", "logging")),
        help="Access log: a path, `-` for standard output, `logging`, or `off`",
    ),
    _log(
        name="access_logformat",
        kind=Text("'combined', 'json', or a format", empty=False),
        help="`combined`, `json`, or a format with Gunicorn's names",
    ),
    _log(
        name="access_log_field_limit",
        kind=Integer(),
        help="Longest field of a client in an access line, in characters; 0: automatic",
    ),
    _log(
        name="error_logfile",
        kind=FilePath(("-",)),
        flags=("--log-file",),
        help="Error log: a path, or `-` for standard error",
    ),
    _log(
        name="log_level",
        kind=Choice(("debug", "info", "warning", "error", "critical")),
        help="Least severe record in the error log",
    ),
    _log(name="slow_log", kind=Duration(), help="Log requests that took longer, with where the time went; 0: off"),
    _develop(name="reload", kind=Flag(), help="Restart the workers when a source file changes"),
    _develop(
        name="reload_files", kind=Several(FilePath()), flags=("--reload-extra-file",), help="Further files to watch"
    ),
    _develop(name="reload_interval", kind=Duration(0.05), help="Time between two looks at the watched files"),
    _develop(
        name="debug", home=WORKER, kind=Flag(), inner=True, help="Show tracebacks in error pages; never in production"
    ),
    _develop(name="lint", home=START, kind=Flag(), help="Check every app against PEP 3333 while it serves"),
)

BY_NAME = {option.name: option for option in OPTIONS}
