"""Caddy, nginx and HAProxy with the files of deploy/, in front of the server."""

import json
import ssl
from http.client import HTTPSConnection
from socket import create_connection

from common import DEPLOY, HOST, adapt, expect, free_port, run, running, until
from gateway import UPSTREAM_KEY

CHAT = "/v1/chat/completions"
# server.max_body_mb of stockade.toml.
LIMIT = 20 * 1024 * 1024
# Addresses of this machine, from which the client connects; the proxies connect from 127.0.0.1.
CLIENT, FORGER = "127.0.0.2", "127.0.0.3"
# An address of the documentation (RFC 5737).
FORGED = "198.51.100.7"


def nginx(folder, gateway, port, chain, key, _both):
    changes = [
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{gateway.port};"),
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("/etc/ssl/stockade/fullchain.pem", chain),
        ("/etc/ssl/stockade/privkey.pem", key),
    ]
    (folder / "stockade.conf").write_text(adapt((DEPLOY / "nginx.conf").read_text(), changes))
    main = folder / "main.conf"
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    main.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr;\nevents {{}}\n"
        f"http {{ access_log off; {temporary} include {folder}/stockade.conf; }}\n"
    )
    run("nginx", "-t", "-e", "stderr", "-c", main)
    return ["nginx", "-e", "stderr", "-c", main]


def caddy(folder, gateway, port, chain, key, _both):
    changes = [
        ("{\n\t# A client", "{\n\tadmin off\n\tauto_https disable_redirects\n\t# A client"),
        ("\napi.example.com {", f"\nhttps://{HOST}:{port} {{\n\tbind 127.0.0.1\n\ttls {chain} {key}"),
        ("127.0.0.1:8000", f"127.0.0.1:{gateway.port}"),
    ]
    file = folder / "Caddyfile"
    file.write_text(adapt((DEPLOY / "Caddyfile").read_text(), changes))
    run("caddy", "validate", "--adapter", "caddyfile", "--config", file)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", file]


def haproxy(folder, gateway, port, _chain, _key, both):
    changes = [
        ("    log /dev/log local0\n    user haproxy\n    group haproxy\n", ""),
        ("    log global\n    option httplog\n", ""),
        ("bind :80", f"bind 127.0.0.1:{free_port()}"),
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("/etc/ssl/stockade/combined.pem", both),
        ("127.0.0.1:8000", f"127.0.0.1:{gateway.port}"),
    ]
    file = folder / "haproxy.cfg"
    file.write_text(adapt((DEPLOY / "haproxy.cfg").read_text(), changes))
    run("haproxy", "-c", "-f", file)
    return ["haproxy", "-db", "-f", file]


PROXIES = {"caddy": caddy, "nginx": nginx, "haproxy": haproxy}


class Client(HTTPSConnection):
    """A client of the proxy, with an address of its own."""

    def __init__(self, port, chain, address=CLIENT):
        super().__init__(HOST, port, timeout=20, context=ssl.create_default_context(cafile=str(chain)))
        self.address = address

    def connect(self):
        tcp = create_connection(("127.0.0.1", self.port), self.timeout, (self.address, 0))
        self.sock = self._context.wrap_socket(tcp, server_hostname=HOST)

    def chat(self, key, body, **headers):
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"} | headers
        self.request("POST", CHAT, body, headers)
        return self.getresponse()


def chat_body(**fields):
    return json.dumps({"model": "holo", "messages": [{"role": "user", "content": "ping"}], **fields}).encode()


def passes_a_request(gateway, port, chain, key):
    # HAProxy waits for its first health check.
    def answered():
        response = Client(port, chain).chat(key, chat_body())
        text = response.read()
        return (response, text) if response.status != 503 else None

    response, text = until(answered, "an answer through the proxy")
    expect(response.status == 200 and b"pong" in text, f"{response.status}: {text}")
    credentials = gateway.model.credentials
    expect(credentials == {f"Bearer {UPSTREAM_KEY}"}, f"the model server got {credentials}")


def negotiates_http2(_gateway, port, chain, key):
    command = ["curl", "--silent", "--show-error", "--http2", "--noproxy", "*", "--interface", CLIENT]
    command += ["--cacert", chain, "--resolve", f"{HOST}:{port}:127.0.0.1", "--write-out", "\n%{http_version} %{http_code}"]
    command += ["--header", f"Authorization: Bearer {key}", f"https://{HOST}:{port}/v1/models"]
    output = run(*command)
    expect(output.endswith("\n2 200"), output)


def passes_streams_without_buffering(gateway, port, chain, key):
    response = Client(port, chain).chat(key, chat_body(stream=True))
    expect(response.status == 200, f"{response.status}")
    # The model server sends the second event only after this one has arrived.
    first = b""
    while not first.endswith(b"\n\n"):
        received = response.read1()
        expect(received, f"the stream ends after {first}")
        first += received
    gateway.model.released.set()
    rest = response.read()
    expect(b"first" in first and b"second" not in first, f"{first}")
    expect(b"second" in rest and rest.endswith(b"data: [DONE]\n\n"), f"{rest}")
    gateway.model.released.clear()


def records_the_address_of_the_client(gateway, port, chain, key):
    before = {address: len(gateway.records(address)) for address in [FORGER, "127.0.0.1", FORGED]}
    headers = {
        "x-forwarded-for": f"{FORGED}, 127.0.0.1",
        "forwarded": f"for={FORGED}",
        "x-real-ip": FORGED,
        "true-client-ip": FORGED,
    }
    response = Client(port, chain, FORGER).chat(key, chat_body(), **headers)
    expect(response.status == 200, f"{response.status}: {response.read()}")
    response.read()
    until(lambda: len(gateway.records(FORGER)) == before[FORGER] + 1, f"a record of {FORGER}")
    for address in ["127.0.0.1", FORGED]:
        chats = [record for record in gateway.records(address) if record["path"] == CHAT]
        expect(not chats, f"a record of {address}: {chats}")
    expect(gateway.records(CLIENT), f"records of {CLIENT}")


def has_the_limit_of_the_server(_gateway, port, chain, key):
    largest = chat_body().ljust(LIMIT)
    response = Client(port, chain).chat(key, largest)
    text = response.read()
    expect(response.status == 200, f"the largest body: {response.status}: {text[:200]}")

    # The length alone is enough to refuse it.
    client = Client(port, chain)
    client.putrequest("POST", CHAT)
    for name, value in [("authorization", f"Bearer {key}"), ("content-type", "application/json")]:
        client.putheader(name, value)
    client.putheader("content-length", str(LIMIT + 1))
    client.endheaders()
    refused(client.getresponse())

    # Without a length, the limit applies to the bytes that arrive.
    client = Client(port, chain)
    chunks = (largest[start : start + 65536] for start in range(0, LIMIT, 65536))
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    try:
        client.request("POST", CHAT, (part for parts in [chunks, [b" "]] for part in parts), headers, encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        pass  # Refused before the end; the response has arrived.
    refused(client.getresponse(), json_body=False)


def refused(response, json_body=True):
    text = response.read()
    expect(response.status == 413, f"{response.status} instead of 413: {text[:200]}")
    if json_body:
        code = json.loads(text)["error"]["code"]
        expect(code == "REQUEST_TOO_LARGE", code)


CHECKS = [
    passes_a_request,
    negotiates_http2,
    passes_streams_without_buffering,
    records_the_address_of_the_client,
    has_the_limit_of_the_server,
]


def check(name, folder, gateway, key, files):
    """Runs all checks behind a proxy, and yields the name and the error of each."""
    folder.mkdir()
    port = free_port()
    command = PROXIES[name](folder, gateway, port, *files)
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with running(command, port, folder / "log", env=home):
        for each in CHECKS:
            yield each.__name__.replace("_", " "), lambda each=each: each(gateway, port, files[0], key)
