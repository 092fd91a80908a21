"""Models from the Hugging Face Hub: no file of the cache has its name before its bytes are on the disk."""

import hashlib
import http.server
import json
import os
import signal
import threading
import time

import durable
import trace
from records import Failure, free_port

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = "owner/name"
# No engine has this architecture, so that both are downloaded and no model is loaded.
FILES = {
    "config.json": b'{"architectures": ["Unknown"]}',
    "model.safetensors": bytes(range(256)) * 4_096,
}
CONFIG = """
[server]
listen = "127.0.0.1:{port}"
[model]
source = "{model}"
[auth]
keys_file = "keys.yaml"
"""


def checksum(content):
    """As Git computes it, which the Hub announces for small files."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        listing = [{"path": name, "oid": checksum(content), "size": len(content)} for name, content in FILES.items()]
        content = {
            f"/api/models/{MODEL}/revision/main": json.dumps({"sha": COMMIT}).encode(),
            f"/api/models/{MODEL}/tree/{COMMIT}": json.dumps(listing).encode(),
            **{f"/{MODEL}/resolve/{COMMIT}/{name}": content for name, content in FILES.items()},
        }.get(path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_arguments):
        pass


def check(server, scratch, interrupted):
    """Checks a download, or one whose last bytes a killed process has written; returns the number of states."""
    folder = scratch / "folder"
    blobs = folder / "cache/hub/models--owner--name/blobs"
    blobs.mkdir(parents=True)
    (folder / "stockade.toml").write_text(CONFIG.format(port=free_port(), model=MODEL))
    (folder / "keys.yaml").write_text("format: 2\nkeys: []\nend: true\n")
    (folder / "keys.yaml").chmod(0o600)
    weights = FILES["model.safetensors"]
    part = blobs / f"{checksum(weights)}.part"
    if interrupted:
        part.write_bytes(weights)
    hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "HF_HOME": str(folder / "cache"),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
    }

    def use(strace):
        deadline = time.monotonic() + 60
        while "is not supported" not in (scratch / "messages").read_text():
            assert time.monotonic() < deadline, (scratch / "messages").read_text()
            time.sleep(0.1)
        os.kill(trace.traced(strace), signal.SIGTERM)

    command = [server, "serve", "--config", "stockade.toml"]
    unsynced = [part.relative_to(folder)] if interrupted else []
    lost = durable.lost(command, folder, scratch / "trace", environment, unsynced, use)
    hub.shutdown()
    for name, content in FILES.items():
        blob = blobs / checksum(content)
        if not blob.is_file() or blob.read_bytes() != content:
            raise Failure(f"the server has not downloaded {name}: {(scratch / 'messages').read_text()}")
        # A name that is lost costs a download. Bytes that are lost would be served as the model.
        if f"the content of {blob.relative_to(folder)}" in lost:
            raise Failure(f"a crash may lose the content of {name}")
    return 1
