"""Stands in for Azure Key Vault, for Microsoft's identities and for a machine of Azure, on a port of 127.0.0.1.

It is a proxy: whoever asks for `https://NAME.vault.azure.net` or `https://login.microsoftonline.com` through it comes to
itself, by TLS with a certificate of an authority of its own. Answers as the real ones do, as far as Azure's clients ask.
Keys are real RSA keys, and there as soon as somebody names them. They share a modulus, so they are no secret.
"""

import base64
import hashlib
import json
import math
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, APPLICATION = int(sys.argv[1]), sys.argv[2]
TENANT, DOMAIN = "tenant-1", "vault.azure.net"
FAULTS = {
    "unauthenticated": (401, "Unauthorized", None, "AKV10032: Invalid issuer."),
    "denied": (403, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource."),
    "missing": (404, "KeyNotFound", None, "A key with (name/id) k was not found in this key vault."),
    "disabled": (403, "Forbidden", "KeyDisabled", "Operation decrypt is not allowed on a disabled key."),
    "throttled": (429, "Throttled", None, "Request was not processed because too many requests were received."),
    "unavailable": (503, "ServiceUnavailable", None, "The service is unavailable."),
}
lock = threading.Lock()
# Of each key, what goes wrong with it, and how often; how many versions it has.
faults, log, tokens, versions = {}, [], set(), {}
now, most = 0, 0


def numbers(path):
    """Modulus, and the primes of an RSA key."""
    text = subprocess.run(["openssl", "rsa", "-in", path, "-noout", "-text"], capture_output=True, check=True).stdout
    found = re.findall(r"(modulus|prime1|prime2):\s*((?:\s+[0-9a-f:]+\n)+)", text.decode())
    return {name: int(re.sub(r"[^0-9a-f]", "", digits), 16) for name, digits in found}


subprocess.run(["openssl", "genrsa", "-out", "vault.pem", "2048"], capture_output=True, check=True)
OWN = numbers("vault.pem")
N, PHI = OWN["modulus"], (OWN["prime1"] - 1) * (OWN["prime2"] - 1)
APPLICATION_N = numbers(APPLICATION)["modulus"]


def exponents(key, version):
    """A key of its own for each name and version."""
    public = int.from_bytes(hashlib.sha256(f"{key} {version}".encode()).digest()[:3], "big") | 1 | 1 << 24
    while math.gcd(public, PHI) != 1:
        public += 2
    return public, pow(public, -1, PHI)


def mgf(seed, length):
    blocks = (hashlib.sha256(seed + i.to_bytes(4, "big")).digest() for i in range(length // 32 + 1))
    return b"".join(blocks)[:length]


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


EMPTY = hashlib.sha256(b"").digest()


def wrap(public, payload):
    """RSA-OAEP-256 (RFC 8017, 7.1)."""
    data = EMPTY + b"\0" * (256 - len(payload) - 66) + b"\1" + payload
    seed = os.urandom(32)
    data = xor(data, mgf(seed, 223))
    return pow(int.from_bytes(b"\0" + xor(seed, mgf(data, 32)) + data, "big"), public, N).to_bytes(256, "big")


def unwrap(private, blob):
    block = pow(int.from_bytes(blob, "big"), private, N).to_bytes(256, "big")
    seed, data = block[1:33], block[33:]
    data = xor(data, mgf(xor(seed, mgf(data, 32)), 223))
    rest = data[32:].lstrip(b"\0")
    return rest[1:] if block[0] == 0 and data[:32] == EMPTY and rest[:1] == b"\1" else None


def is_signed(statement):
    """By the application's certificate, of now: PS256 (RFC 8017, 9.1.2), or RS256 (9.2) as Azure's client in Python."""
    signed, _, signature = statement.rpartition(".")
    header, claims = (json.loads(of_url(part)) for part in signed.split("."))
    begins = claims.get("nbf") or claims["iat"]
    is_for_us = claims["aud"].startswith("https://login.") and begins - 60 < time.time() < claims["exp"]
    block = pow(int.from_bytes(of_url(signature), "big"), 65537, APPLICATION_N).to_bytes(256, "big")
    digest = hashlib.sha256(signed.encode()).digest()
    if header["alg"] == "RS256":
        wanted = bytes.fromhex("3031300d060960864801650304020105000420") + digest
        return is_for_us and block == b"\0\1" + b"\xff" * (256 - 3 - len(wanted)) + b"\0" + wanted
    data, hashed = block[:223], block[223:255]
    data = xor(data, mgf(hashed, 223))
    rest = (bytes([data[0] & 0x7F]) + data[1:]).lstrip(b"\0")
    message = hashlib.sha256(b"\0" * 8 + digest + rest[1:]).digest()
    return is_for_us and rest[:1] == b"\1" and block[255] == 0xBC and hashed == message


def of_url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def to_url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def granted():
    token = "PLANTED-" + os.urandom(8).hex()
    tokens.add(token)
    ends = int(time.time()) + 3599
    return {"token_type": "Bearer", "expires_in": 3599, "expires_on": str(ends), "access_token": token}


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host = ""

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        with lock:
            log.append(f"{self.command} {self.host}{self.path} {status}")
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fail(self, fault, headers=()):
        status, code, inner, words = FAULTS[fault]
        error = {"code": code, "message": words} | ({"innererror": {"code": inner}} if inner else {})
        self.answer(status, {"error": error}, headers)

    def do_CONNECT(self):
        self.host = self.path.rsplit(":", 1)[0]
        self.send_response(200)
        self.end_headers()
        if self.host == "down.vault.azure.net":
            return self.close()
        try:
            self.connection = TLS.wrap_socket(self.connection, server_side=True)
        except (OSError, ssl.SSLError):
            return self.close()
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def close(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if self.host.startswith("login."):
            return self.discover(url.path)
        if self.host:
            return self.vault(url.path, None)
        if url.path == "/requests":
            return self.answer(200, {"log": log, "most": most})
        is_machine = (
            url.path.startswith("/metadata/identity/") and self.headers.get("Metadata") == "true"
            or url.path == "/app-service" and self.headers.get("X-IDENTITY-HEADER") == "PLANTED-header"
            or url.path == "/machine-learning" and self.headers.get("secret") == "PLANTED-secret"
        )
        if url.path.startswith("/arc"):
            # The file that the agent wants to be sent: nobody who is tested has one.
            where = {"/arc": "/var/opt/azcmagent/tokens/none.key", "/arc-elsewhere": "/etc/hostname.key"}[url.path]
            return self.answer(401, {}, [("WWW-Authenticate", f"Basic realm={where}")])
        if is_machine and query.get("resource", "").startswith("https://" + DOMAIN):
            return self.answer(200, granted())
        self.answer(400, {"error": "invalid_request", "error_description": "Identity not found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.host.startswith("login."):
            return self.grant(dict(urllib.parse.parse_qsl(body.decode())))
        if self.host:
            return self.vault(urllib.parse.urlsplit(self.path).path, body)
        wish = json.loads(body or "{}") if self.path != "/cloud-shell" else {}
        if self.path == "/fault":
            faults[wish["key"]] = [wish["fault"], wish["times"]]
        elif self.path == "/rotate":
            versions[wish["key"]] = versions.get(wish["key"], 1) + 1
        elif self.path == "/cloud-shell":
            return self.answer(200, granted())
        self.answer(200, granted() if self.path == "/token-of-tests" else {})

    def discover(self, path):
        base = f"https://{self.host}/{TENANT}"
        if path.endswith("/instance"):
            hosts = [{"preferred_network": self.host, "preferred_cache": self.host, "aliases": [self.host]}]
            return self.answer(200, {"tenant_discovery_endpoint": base, "metadata": hosts})
        self.answer(200, {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "issuer": f"{base}/v2.0",
        })

    def grant(self, form):
        is_good = form.get("scope", "").split(" ")[0] == f"https://{DOMAIN}/.default" and (
            form.get("client_secret") == "PLANTED-secret"
            or form.get("client_assertion") == "PLANTED-subject"
            or form.get("client_assertion", "").count(".") == 2 and is_signed(form["client_assertion"])
        )
        if is_good and self.path.startswith(f"/{TENANT}/"):
            return self.answer(200, granted())
        words = "AADSTS7000215: Invalid client secret provided."
        self.answer(401, {"error": "invalid_client", "error_description": words})

    def vault(self, path, body):
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in tokens:
            domain = DOMAIN if self.host.endswith(DOMAIN) else "management.azure.com"
            said = f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="https://{domain}"'
            return self.fail("unauthenticated", [("WWW-Authenticate", said)])
        _, _, name, *rest = path.split("/")
        self.use(f"https://{self.host}/keys/{name}", rest, json.loads(body) if body else None)

    def use(self, key, rest, wish):
        global now, most
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
        elif fault and fault[0] == "expired":
            tokens.clear()
            said = f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="https://{DOMAIN}"'
            return self.fail("unauthenticated", [("WWW-Authenticate", said)])
        elif fault:
            return self.fail(fault[0], [("Retry-After", "1")] if fault[0] == "throttled" else [])
        known = [f"{number:032x}" for number in range(1, versions.get(key, 1) + 1)]
        which = rest[0] if rest and rest[0] else known[-1]
        if which not in known:
            return self.fail("missing")
        public, private = exponents(key, which)
        if wish is None:
            jwk = {"kid": f"{key}/{which}", "kty": "RSA", "key_ops": ["encrypt", "decrypt", "wrapKey", "unwrapKey"]}
            jwk |= {"n": to_url(N.to_bytes(256, "big")), "e": to_url(public.to_bytes(4, "big").lstrip(b"\0"))}
            return self.answer(200, {"key": jwk, "attributes": {"enabled": True}})
        payload = of_url(wish["value"])
        done = wrap(public, payload) if rest[1] == "encrypt" else unwrap(private, payload)
        if done is None or wish["alg"] != "RSA-OAEP-256":
            error = {"code": "BadParameter", "message": "The parameter is incorrect.\r\n"}
            return self.answer(400, {"error": error})
        self.answer(200, {"kid": f"{key}/{which}", "value": to_url(done)})


TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
TLS.load_cert_chain("azure.crt", "azure.key")
ThreadingHTTPServer.request_queue_size = 64
server = ThreadingHTTPServer(("127.0.0.1", PORT), Server)
print("listens", flush=True)
server.serve_forever()
