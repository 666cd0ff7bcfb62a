"""Stands in for KMS of Huawei Cloud and for its IAM, on a port of 127.0.0.1.

Answers as the real ones do, as far as Huawei's clients ask. Keys are there as soon as somebody names them. What is wrapped
is no secret from whoever reads this.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, ACCESS_KEY, SECRET_KEY, TOKEN, PROJECT = int(sys.argv[1]), "ACCESS", "PLANTED-sk", "PLANTED-token", "project1"
FAULTS = {
    "unauthenticated": (401, "APIGW.0301", "Incorrect IAM authentication information: verify aksk signature fail"),
    "denied": (403, "KMS.0310", "You have no permission to perform this operation."),
    "missing": (400, "KMS.0205", "Invalid key ID."),
    "disabled": (400, "KMS.0209", "The key has been disabled."),
    "deleted": (400, "KMS.0210", "The key is in Scheduled deletion state and cannot be used."),
    "throttled": (429, "APIGW.0308", "The throttling threshold has been reached."),
    "unavailable": (503, "APIGW.0202", "Backend unavailable."),
    "closed": (400, "KMS.0202", "Invalid cipher text."),
}
lock = threading.Lock()
# Of each key, what goes wrong with it, and how often.
faults, log = {}, []
now, most = 0, 0


def wrap(key, payload):
    nonce = os.urandom(96)
    stream = hashlib.shake_256(key.encode() + nonce).digest(len(payload))
    text = len(key).to_bytes(1, "big") + key.encode() + nonce + bytes(a ^ b for a, b in zip(payload, stream))
    return text + hmac.digest(key.encode(), text, "sha256")


def unwrap(blob):
    """The key is in the ciphertext."""
    text, tag = blob[:-32], blob[-32:]
    key, rest = text[1 : 1 + text[0]], text[1 + text[0] :]
    if not hmac.compare_digest(tag, hmac.digest(key, text, "sha256")):
        return None
    stream = hashlib.shake_256(key + rest[:96]).digest(len(rest) - 96)
    return bytes(a ^ b for a, b in zip(rest[96:], stream))


def is_signed(request, body):
    """SDK-HMAC-SHA256, of now."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    algorithm, _, rest = headers.get("authorization", "").partition(" ")
    fields = dict(field.split("=", 1) for field in rest.split(", ") if "=" in field)
    if algorithm != "SDK-HMAC-SHA256" or fields.get("Access") != ACCESS_KEY:
        return False
    names = fields["SignedHeaders"].split(";")
    if "x-sdk-date" not in names or headers.get("x-security-token", TOKEN) != TOKEN:
        return False
    url = urllib.parse.urlsplit(request.path)
    query = "&".join(sorted(url.query.split("&")))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    digest = headers.get("x-sdk-content-sha256") or hashlib.sha256(body).hexdigest()
    canonical = "\n".join([request.command, url.path.rstrip("/") + "/", query, lines, ";".join(names), digest])
    date = headers["x-sdk-date"]
    age = time.time() - time.mktime(time.strptime(date, "%Y%m%dT%H%M%SZ")) + time.timezone
    to_sign = f"{algorithm}\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(SECRET_KEY.encode(), to_sign.encode(), "sha256").hexdigest()
    return abs(age) < 900 and hmac.compare_digest(signature, fields["Signature"])


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        with lock:
            log.append(f"{self.command} {self.path} {status}")
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fail(self, fault, headers=()):
        status, code, words = FAULTS[fault]
        error = {"error_code": code, "error_msg": words}
        self.answer(status, {"error": error} if code.startswith("KMS") else error, headers)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/requests":
            self.answer(200, {"log": log, "most": most})
        elif not is_signed(self, b""):
            self.fail("unauthenticated")
        else:
            region = dict(urllib.parse.parse_qsl(url.query)).get("name", "")
            ids = {"tr-west-1": [PROJECT], "af-south-1": [PROJECT, "project2"]}.get(region, [])
            self.answer(200, {"projects": [{"id": id, "name": region} for id in ids], "links": {}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/fault":
            wish = json.loads(body)
            faults[wish["key"]] = [wish["fault"], wish["times"]]
            self.answer(200, {})
        elif not is_signed(self, body):
            self.fail("unauthenticated")
        elif not self.path.startswith(f"/v1.0/{PROJECT}/kms/"):
            self.fail("denied")
        else:
            self.use(json.loads(body))

    def use(self, wish):
        global now, most
        key = wish["key_id"]
        with lock:
            now += 1
            most = max(most, now)
            fault = faults.get(key)
            if fault:
                fault[1] -= 1
                if fault[1] <= 0:
                    del faults[key]
        time.sleep(0.02)
        with lock:
            now -= 1
        if fault and fault[0] == "slow":
            time.sleep(2)
        elif fault:
            return self.fail(fault[0], [("Retry-After", "1")] if fault[0] == "throttled" else [])
        if self.path.endswith("/encrypt-data"):
            blob = base64.b64encode(wrap(key, base64.b64decode(wish["plain_text"]))).decode()
            return self.answer(200, {"key_id": key, "cipher_text": blob})
        payload = unwrap(base64.b64decode(wish["cipher_text"]))
        if payload is None:
            return self.fail("closed")
        text = base64.b64encode(payload).decode()
        self.answer(200, {"key_id": key, "plain_text": text, "plain_text_base64": base64.b64encode(text.encode()).decode()})


ThreadingHTTPServer.request_queue_size = 64
server = ThreadingHTTPServer(("127.0.0.1", PORT), Server)
print("listens", flush=True)
server.serve_forever()
