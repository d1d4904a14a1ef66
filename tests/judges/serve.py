"""Starts one of the independent servers on a free loopback port, says so, and ends it when standard input closes.

Run with the python of the server's own virtual environment:

    serve.py ministack|localstack|local-aws-sqs DIRECTORY INSTALLED

DIRECTORY is for its files, and INSTALLED is where it is installed; that of npm runs on node.

Prints one line, "ready URL", once the server answers. Standard input is the lifeline: whoever holds its other end may die
in any way, and the server ends with it. The server gets a clean environment and keeps its files under DIRECTORY, so that
nothing of the caller's leaks in and nothing stays behind elsewhere. Uses the standard library only.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

READY_WITHIN = 90.0
ATTEMPTS = 3


def ministack(port, home, installed):
    environment = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "SERVICES": "s3,sqs,sts",
    }
    return [sys.executable, "-m", "ministack"], environment, "/_ministack/health"


def localstack(port, home, installed):
    environment = {
        "GATEWAY_SERVER": "hypercorn",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",
        "SERVICES": "sqs,s3",
        "STRICT_SERVICE_LOADING": "1",
        "EAGER_SERVICE_LOADING": "1",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "SQS_ENDPOINT_STRATEGY": "path",
        # Host mode also inside a container: there it would write to /var/lib/localstack.
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": os.path.join(home, "files"),
        "LOCALSTACK_VOLUME_DIR": os.path.join(home, "volume"),
    }
    return [sys.executable, "-m", "localstack.runtime.main"], environment, "/_localstack/health"


def local_aws_sqs(port, home, installed):
    program = f'require("local-aws-sqs").createSqsServer({{ hostname: "127.0.0.1", port: {port} }});'
    return ["node", "-e", program], {"NODE_PATH": os.path.join(installed, "node_modules")}, "/"


SERVERS = {"ministack": ministack, "localstack": localstack, "local-aws-sqs": local_aws_sqs}


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url):
    # No proxy, whatever the environment says: this is loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def start(name, home, installed, log):
    port = free_port()
    arguments, environment, health = SERVERS[name](port, home, installed)
    # Temporary files through a short path: sockets do not take long ones.
    base = {"HOME": home, "TMPDIR": home, "PATH": os.environ.get("PATH", os.defpath), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        arguments,
        env={**base, **environment},
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return server, f"http://127.0.0.1:{port}", health


def end(server):
    """Ends the server and what it started: they are a process group of their own."""
    for number, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
        try:
            os.killpg(server.pid, number)
        except (ProcessLookupError, PermissionError):
            pass
        try:
            server.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue


def serve(name, home, installed, log, closed):
    """Starts the server, waits until it answers, and then until the lifeline closes. Gives the exit code."""
    deadline = time.monotonic() + READY_WITHIN
    for _ in range(ATTEMPTS):
        server, url, health = start(name, home, installed, log)
        try:
            while server.poll() is None and time.monotonic() < deadline and not closed.is_set():
                if answers(url + health):
                    print("ready", url, flush=True)
                    while not closed.wait(0.5):
                        if server.poll() is not None:
                            return 1
                    return 0
                closed.wait(0.1)
        finally:
            end(server)
        if closed.is_set():
            return 0
        if time.monotonic() >= deadline:
            return 1
        # It ended by itself: most likely somebody took the port in between.
    return 1


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in SERVERS:
        sys.exit(f"usage: serve.py {'|'.join(SERVERS)} DIRECTORY INSTALLED")
    name, directory, installed = sys.argv[1], *map(os.path.abspath, sys.argv[2:])
    os.makedirs(directory, exist_ok=True)

    closed = threading.Event()

    def watch():
        while sys.stdin.buffer.read(4096):
            pass
        closed.set()

    threading.Thread(target=watch, daemon=True).start()
    # Ctrl-C goes to the whole foreground group; the caller decides, and its end closes the lifeline.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: closed.set())
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=directory, ignore_cleanup_errors=True) as home:
        with open(os.path.join(directory, f"{name}.log"), "wb") as log:
            code = serve(name, home, installed, log, closed)
    if code != 0:
        with open(os.path.join(directory, f"{name}.log"), encoding="utf-8", errors="replace") as log:
            tail = log.readlines()[-20:]
        sys.stderr.write(f"{name} did not start, or ended by itself. Its last words:\n{''.join(tail)}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
