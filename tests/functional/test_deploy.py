"""`wsgikit deploy`: what it writes is started, or checked, with the program it is for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for
from web_fronts import program, public_folder

from wsgikit.cli.main import run
from wsgikit.testing import RawClient, accepts, free_port
from wsgikit.testing.response import Response

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("app %s %s %s" % (environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["REMOTE_ADDR"])).encode()]
"""
CONFIG = """
bind = [{binds}]
trusted = ["127.0.0.1"]
workers = 1
idle_grace = 0
keep_alive = 6
[[mount]]
path = "/"
app = "site_app:app"
[[mount.use]]
middleware = "static"
directory = "public"
at = "/assets"
"""
MODULES = "/usr/lib/apache2/modules"


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = public_folder()
    (folder / "site_app.py").write_text(APP)
    public = folder / "public"
    (public / "deep").mkdir(parents=True)
    (public / "style.css").write_text("body {}\n")
    (public / ".secret").write_text("CONFIDENTIAL")
    (public / "deep" / "page.txt").write_text("deep")
    (public / ".git").mkdir()
    (public / ".git" / "config").write_text("CONFIDENTIAL")
    (folder / "outside.txt").write_text("CONFIDENTIAL")
    (public / "link.txt").symlink_to(folder / "outside.txt")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def write_config(folder: Path, *binds: str, more: str = "") -> Path:
    file = folder / "wsgikit.toml"
    file.write_text(CONFIG.format(binds=", ".join(f'"{bind}"' for bind in binds)) + more)
    return file


def deploy(capsys, *arguments: str) -> str:
    assert run(["deploy", *arguments]) == 0
    out: str = capsys.readouterr().out
    return out


def ask(port: int, target: str, method: str = "GET") -> Response:
    with RawClient(("127.0.0.1", port), timeout=15) as client:
        client.send(f"{method} {target} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n".encode())
        return client.read_response(method)


def around(kind: str, folder: Path, text: str) -> tuple[str, list[str]]:
    """The rest of a file, as a package of the system has it, and the command."""
    (folder / "site").write_text(text)
    if kind == "nginx":
        temporary = "".join(
            f"{name}_temp_path {folder}/t-{name}; " for name in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
        )
        inside = f"access_log off; {temporary} include {folder}/site;"
        main = f"pid {folder}/pid; error_log {folder}/log; events {{}} http {{ {inside} }}"
        return main, ["nginx", "-p", str(folder), "-c", f"{folder}/front", "-g", "daemon off;"]
    if kind == "apache":
        needed = text.partition("a2enmod ")[2].partition(" &&")[0].split()
        loads = [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in ("mpm_event", "authz_core", *needed)]
        port = text.partition("<VirtualHost *:")[2].partition(">")[0]
        base = [
            f"Listen 127.0.0.1:{port}",
            "ServerName localhost",
            "User www-data",
            "Group www-data",
            "PidFile apache.pid",
        ]
        main = "\n".join([*base, "ErrorLog log", "DefaultRuntimeDir .", *loads, f"Include {folder}/site", ""])
        return main, ["apache2", "-d", str(folder), "-f", f"{folder}/front", "-DFOREGROUND"]
    if kind == "lighttpd":
        base = [f'server.document-root = "{folder}/none"', f'server.errorlog = "{folder}/log"', "server.modules = ()"]
        port = (folder / "port").read_text()
        main = "\n".join([*base, 'server.bind = "127.0.0.1"', f"server.port = {port}", f'include "{folder}/site"', ""])
        (folder / "none").mkdir()
        return main, ["lighttpd", "-D", "-f", f"{folder}/front"]
    return text, ["haproxy", "-db", "-f", f"{folder}/front"]


WIRES = {"nginx": 4, "apache": 4, "lighttpd": 4, "haproxy": 2}
QUICK = (("fastcgi", True),)
FRONTS = [
    pytest.param(kind, wire, is_unix, marks=[] if (wire, is_unix) in QUICK else [pytest.mark.soak])
    for kind, count in WIRES.items()
    for wire in ("fastcgi", "http", "scgi", "uwsgi")[:count]
    for is_unix in (False, True)
]


@pytest.mark.parametrize(("kind", "wire", "is_unix"), FRONTS)
def test_fronts(kind, wire, is_unix, folder, capsys) -> None:
    name = {"apache": "apache2"}.get(kind, kind)
    if program(name) is None:
        pytest.skip(f"{name} is not installed")
    port, backend = free_port(), free_port()
    (folder / "port").write_text(str(port))
    bind = f"{wire}+unix:{folder}/app.sock" if is_unix else f"{wire}://127.0.0.1:{backend}"
    config = write_config(folder, bind, more="")
    config.write_text("socket_mode = '666'\n" + config.read_text())
    text = deploy(capsys, kind, "--config", str(config), "--listen", f"127.0.0.1:{port}", "--name", "shop")
    main, command = around(kind, folder, text)
    (folder / "front").write_text(main)
    command[0] = program(command[0]) or command[0]
    serve = [sys.executable, "-m", "wsgikit", "serve", "--config", str(config)]
    with subprocess.Popen(serve, cwd=folder, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(f"{folder}/app.sock" if is_unix else ("127.0.0.1", backend))
            with (folder / "output").open("wb") as output:
                front = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, start_new_session=True)
            try:
                _wait(("127.0.0.1", port), lambda: (folder / "output").read_text() + text)
                _check_front(kind, port)
            finally:
                os.killpg(front.pid, 9)
                front.wait()
        finally:
            server.terminate()
            server.wait(10)


def _check_front(kind: str, port: int) -> None:
    assert ask(port, "/x/y").body == b"app GET /x/y 127.0.0.1"
    assert ask(port, "/x", "POST").body == b"app POST /x 127.0.0.1"
    style = ask(port, "/assets/style.css")
    assert (style.status, style.body) == (200, b"body {}\n")
    assert ask(port, "/assets/deep/page.txt").body == b"deep"
    for target in ("/assets/.secret", "/assets/.git/config", "/assets/link.txt", "/assets/../wsgikit.toml"):
        body = ask(port, target).body
        assert b"CONFIDENTIAL" not in body
        assert b"bind =" not in body
    if kind == "nginx":
        assert ask(port, "/assets/nothing").body == b"app GET /assets/nothing 127.0.0.1", "what is no file is the app's"
        assert ask(port, "/assets/style.css", "POST").body.startswith(b"app POST")


def _wait(address, said=None) -> None:
    wait_for(lambda: accepts(address), say=lambda: said() if said else address)


def test_what_guards_a_folder_keeps_the_front_away(folder, capsys) -> None:
    more = """
[[mount]]
path = "/members"
app = "site_app:app"
[[mount.use]]
middleware = "basic-auth"
[[mount.use]]
middleware = "static"
directory = "public"
at = "/files"
"""
    config = write_config(folder, "fastcgi://127.0.0.1:9000", more=more)
    text = deploy(capsys, "nginx", "--config", str(config))
    assert "location ^~ /assets/" in text
    assert "location ^~ /members" not in text
    assert "/members/files/ is left to wsgikit: basic-auth stands before it" in text
    more = '[[mount]]\npath = "/assets/private"\napp = "site_app:app"\n'
    text = deploy(capsys, "nginx", "--config", str(write_config(folder, "fastcgi://127.0.0.1:9000", more=more)))
    assert "location ^~ /assets/" not in text
    more = '[[mount]]\nhost = "other.example"\napp = "site_app:app"\n'
    text = deploy(capsys, "nginx", "--config", str(write_config(folder, "fastcgi://127.0.0.1:9000", more=more)))
    assert "location ^~ /assets/" not in text


def test_errors(folder, capsys) -> None:
    def said(*arguments: str) -> str:
        assert run(["deploy", *arguments]) == 2
        err: str = capsys.readouterr().err
        return err

    config = str(write_config(folder, "127.0.0.1:8000"))
    assert "no listener for fastcgi" in said("nginx", "--config", config, "--wire", "fastcgi")
    assert "speaks fastcgi, http" in said("haproxy", "--config", config, "--wire", "scgi")
    assert "a port, or an address with a port" in said("nginx", "--config", config, "--listen", "x;y")
    assert "rename it" in said("nginx", "--config", config, "--name", "a b;}")
    (folder / "there").write_text("mine")
    assert "the file exists" in said("nginx", "--config", config, "--output", str(folder / "there"))
    assert (folder / "there").read_text() == "mine"
    assert run(["deploy", "nginx", "--config", config, "--output", str(folder / "new")]) == 0
    assert "proxy_pass" in (folder / "new").read_text()
    bare = folder / "bare.toml"
    bare.write_text('bind = ["127.0.0.1:8000"]\n')
    assert "nothing to serve" in said("systemd", "--config", str(bare))


def test_systemd(folder, capsys) -> None:
    if program("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = deploy(capsys, "systemd", "--config", str(write_config(folder, "fastcgi+unix:/run/shop/app.sock")))
    assert "RuntimeDirectory=shop\n" in text
    unit = folder / "shop.service"
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    # it looks at units that ours stands on, too, and has something to say about those of some machines
    assert "shop.service" not in done.stderr


def test_supervisor(folder, capsys) -> None:
    beside = Path(sys.executable).parent / "supervisord"
    if not beside.exists() and program("supervisord") is None:
        pytest.skip("supervisor is not installed")
    port = free_port()
    text = deploy(capsys, "supervisor", "--config", str(write_config(folder, f"127.0.0.1:{port}")), "--name", "shop")
    assert "\nuser=www-data\n" in text  # and not the super-user that supervisord may be
    text = text.replace("/var/log/supervisor", str(folder)).replace(
        "\nuser=www-data\n", "\n"
    )  # who may not see our folders
    head = f"[supervisord]\nnodaemon=true\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\n\n"
    (folder / "supervisor.conf").write_text(head + text)
    command = [str(beside) if beside.exists() else "supervisord", "-c", str(folder / "supervisor.conf")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as process:
        try:
            _wait(("127.0.0.1", port), lambda: (folder / "log").read_text())
            assert ask(port, "/x").body.startswith(b"app GET /x")
        finally:
            process.terminate()
            process.wait(20)
    assert not accepts(("127.0.0.1", port))


def test_procfile(folder, capsys) -> None:
    honcho = Path(sys.executable).parent / "honcho"
    if not honcho.exists():
        pytest.skip("honcho is not installed")
    (folder / "Procfile").write_text(
        deploy(capsys, "procfile", "--config", str(write_config(folder, "127.0.0.1:8000")))
    )
    port = free_port()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PORT": str(port)}
    command = [str(honcho), "start", "-f", str(folder / "Procfile"), "-d", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(("127.0.0.1", port), lambda: (folder / "log").read_text())
        assert ask(port, "/x").body.startswith(b"app GET /x")
    finally:
        process.terminate()
        process.wait(20)
    assert not accepts(("127.0.0.1", port))


def test_docker(folder, capsys) -> None:
    """Instructions are run line by line where they need no image: copies, and the command; pip and users are not."""
    port = free_port()
    text = deploy(capsys, "docker", "--config", str(write_config(folder, f"127.0.0.1:{port}")))
    root = folder / "root"
    (folder / "wheels").mkdir()
    command: list[str] = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "WORKDIR":
            root = root / rest.lstrip("/")
            root.mkdir(parents=True)
        elif word == "COPY":
            source, target = rest.split()
            ignored = shutil.ignore_patterns("root", "wheels") if source == "." else None
            where = root if target == "." else root / target
            shutil.copytree(folder / source, where, dirs_exist_ok=True, ignore=ignored, symlinks=True)
        elif word == "CMD":
            command = [part.strip(' "') for part in rest.strip("[]").split(",")]
        elif word not in ("#", "", "FROM", "RUN", "USER", "EXPOSE", "STOPSIGNAL"):
            raise AssertionError(f"no instruction: {line}")
    assert command[0] == "wsgikit"
    command[:1] = [sys.executable, "-m", "wsgikit"]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(("127.0.0.1", port))
            assert ask(port, "/x").body.startswith(b"app GET /x")
        finally:
            process.terminate()
            assert process.wait(10) == 0


# How the packages of Debian read a site: their own main file, with the places of this test.
MAINS = {
    "nginx": ("/etc/nginx/nginx.conf", ["nginx", "-t", "-c"], "include /etc/nginx/sites-enabled/*;", "include {site};"),
    "lighttpd": ("/etc/lighttpd/lighttpd.conf", ["lighttpd", "-tt", "-f"], "", 'include "{site}"'),
}


@pytest.mark.parametrize("wire", ["http", "fastcgi"])
@pytest.mark.parametrize("kind", MAINS)
def test_a_site_fits_into_the_main_file_of_the_system(kind: str, wire: str, folder, capsys) -> None:
    main, command, old, new = MAINS[kind]
    found = program(command[0])
    if found is None or not Path(main).exists():
        pytest.skip(f"{kind} is not installed")
    config = write_config(folder, f"{wire}://127.0.0.1:9000", more="")
    site, front = folder / "site", folder / "front"
    site.write_text(deploy(capsys, kind, "--config", str(config), "--listen", "8080", "--name", "my-shop"))
    text = Path(main).read_text()
    line = new.format(site=site)
    assert old in text
    text = text.replace(old, line) if old else f"{text}\n{line}\n"
    for place, name in (("/run/nginx.pid", "pid"), ("/var/log/nginx/", "log-"), ("/var/log/lighttpd/", "log-")):
        text = text.replace(place, f"{folder}/{name}")
    front.write_text(text)
    done = subprocess.run([found, *command[1:], str(front)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("wire", ["http", "fastcgi", "scgi", "uwsgi"])
def test_a_site_fits_into_the_apache_of_the_system(wire: str, folder, capsys) -> None:
    found = program("apache2")
    if found is None or not Path("/etc/apache2/apache2.conf").exists():
        pytest.skip("apache2 is not installed as Debian has it")
    root = folder / "apache2"
    shutil.copytree("/etc/apache2", root, symlinks=True, ignore=shutil.ignore_patterns("sites-enabled"))
    (root / "sites-enabled").mkdir()
    config = write_config(folder, f"{wire}://127.0.0.1:9000", more="")
    text = deploy(capsys, "apache", "--config", str(config), "--listen", "8080", "--name", "my-shop")
    (root / "sites-enabled" / "my-shop.conf").write_text(text)
    for name in text.partition("a2enmod ")[2].partition(" &&")[0].split():  # what a2enmod does
        for file in (root / "mods-available").glob(f"{name}.*"):
            (root / "mods-enabled" / file.name).unlink(missing_ok=True)
            (root / "mods-enabled" / file.name).symlink_to(file)
    names = ("RUN_DIR", "LOG_DIR", "LOCK_DIR", "PID_FILE")
    own = {f"APACHE_{name}": str(folder / name if name == "PID_FILE" else folder) for name in names}
    environment = {**os.environ, **own, "APACHE_RUN_USER": "www-data", "APACHE_RUN_GROUP": "www-data"}
    command = [found, "-d", str(root), "-f", "apache2.conf", "-t"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
