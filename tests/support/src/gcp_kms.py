"""Stands in for Cloud KMS, a token server, the metadata service of a machine and IAM, on a port of 127.0.0.1.

Answers as the real ones do, as far as KMS's REST client asks for it. Keys are there as soon as somebody names them. What
is wrapped is no secret from whoever reads this.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, MODULUS = int(sys.argv[1]), int(sys.argv[2], 16)
STATIC = "PLANTED-static-token"
AWS_ID, AWS_SECRET, AWS_SESSION = "AKIAEXAMPLE", "PLANTED-aws-secret", "PLANTED-aws-session"
FAULTS = {
    "unauthenticated": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "denied": (403, "PERMISSION_DENIED", "Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource"),
    "missing": (404, "NOT_FOUND", "CryptoKey not found."),
    "disabled": (400, "FAILED_PRECONDITION", "cryptoKeyVersions/1 is not enabled, current state is: DISABLED."),
    "throttled": (429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Cryptographic requests'"),
    "unavailable": (503, "UNAVAILABLE", "The service is currently unavailable."),
}
lock = threading.Lock()
# Of each key, what goes wrong with it, and how often.
faults, log, tokens = {}, [], {STATIC}
now, most = 0, 0


def wrap(key, payload):
    nonce = os.urandom(16)
    stream = hashlib.shake_256(key.encode() + nonce).digest(len(payload))
    text = bytes(a ^ b for a, b in zip(payload, stream))
    return nonce + text + hmac.digest(key.encode(), nonce + text, "sha256")


def unwrap(key, blob):
    text, tag = blob[:-32], blob[-32:]
    if not hmac.compare_digest(tag, hmac.digest(key.encode(), text, "sha256")):
        return None
    stream = hashlib.shake_256(key.encode() + text[:16]).digest(len(text) - 16)
    return bytes(a ^ b for a, b in zip(text[16:], stream))


def is_signed(statement, fits):
    """RS256 by the service account (RFC 8017, 8.2.2), of now, with claims that fit."""
    signed, _, signature = statement.rpartition(".")
    number = pow(int.from_bytes(of_url(signature), "big"), 65537, MODULUS)
    head = bytes.fromhex("3031300d060960864801650304020105000420")
    wanted = head + hashlib.sha256(signed.encode()).digest()
    wanted = b"\x00\x01" + b"\xff" * (256 - 3 - len(wanted)) + b"\x00" + wanted
    claims = json.loads(of_url(signed.split(".")[1]))
    is_now = claims["iat"] - 60 < time.time() < claims["exp"]
    return is_now and fits(claims) and number == int.from_bytes(wanted, "big")


def lets_in(header):
    """A token that was handed out, or what a service account says itself (AIP-4111)."""
    token = header.removeprefix("Bearer ")
    of_kms = "https://cloudkms.googleapis.com/"
    for_kms = lambda claims: claims["sub"] and ("scope" in claims or claims["aud"] == of_kms)
    return token in tokens or token.count(".") == 2 and is_signed(token, for_kms)


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def is_of_aws(text, audience):
    """A request for GetCallerIdentity, signed (Signature Version 4) by an access key that AWS knows."""
    request = json.loads(urllib.parse.unquote_plus(text))
    headers = {header["key"].lower(): header["value"] for header in request["headers"]}
    form = r"AWS4-HMAC-SHA256 Credential=(.+)/(\d+)/([a-z0-9-]+)/sts/aws4_request, SignedHeaders=(.+), Signature=(.+)"
    key_id, date, region, names, signature = re.fullmatch(form, headers["authorization"]).groups()
    url = urllib.parse.urlsplit(request["url"])
    lines = "".join(f"{name}:{headers[name]}\n" for name in names.split(";"))
    canonical = f"{request['method']}\n{url.path or '/'}\n{url.query}\n{lines}\n{names}\n{sha256('')}"
    scope = f"{date}/{region}/sts/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{sha256(canonical)}"
    key = b"AWS4" + AWS_SECRET.encode()
    for part in [date, region, "sts", "aws4_request", to_sign]:
        key = hmac.digest(key, part.encode(), "sha256")
    is_bound = headers["x-goog-cloud-target-resource"] == audience and "x-goog-cloud-target-resource" in names
    is_for_sts = url.scheme == "https" and url.hostname == headers["host"] == f"sts.{region}.amazonaws.com"
    is_known = key_id == AWS_ID and headers.get("x-amz-security-token") == AWS_SESSION
    return is_bound and is_for_sts and is_known and hmac.compare_digest(signature, key.hex())


def of_url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def granted():
    token = "PLANTED-" + os.urandom(8).hex()
    tokens.add(token)
    return token


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode() if not isinstance(body, str) else body.encode()
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
        self.answer(status, {"error": {"code": status, "message": words, "status": code}}, headers)

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path == "/requests":
            self.answer(200, {"log": log, "most": most})
        elif path == "/oidc" and self.headers.get("x-runner") == "PLANTED-runner":
            self.answer(200, {"value": "PLANTED-subject"})
        elif path.startswith("/aws/") and self.headers.get("X-aws-ec2-metadata-token") == "PLANTED-imds":
            key = {"AccessKeyId": AWS_ID, "SecretAccessKey": AWS_SECRET, "Token": AWS_SESSION}
            said = {"/aws/key": "role", "/aws/key/role": key, "/aws/region": "eu-west-1b"}
            self.answer(200, said[path])
        elif path.startswith("/computeMetadata/") and self.headers.get("Metadata-Flavor") == "Google":
            google = [("Metadata-Flavor", "Google")]
            if path.endswith("/token"):
                self.answer(200, {"access_token": granted(), "expires_in": 3599, "token_type": "Bearer"}, google)
            else:
                self.answer(200, "googleapis.com", google)
        else:
            self.answer(404, "")

    def do_PUT(self):
        is_aws = self.path == "/aws/session" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") == "300"
        self.answer(200, "PLANTED-imds") if is_aws else self.answer(404, "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/fault":
            wish = json.loads(body)
            faults[wish["key"]] = [wish["fault"], wish["times"]]
            self.answer(200, {})
        elif self.path == "/token":
            self.grant(dict(urllib.parse.parse_qsl(body.decode())))
        elif not lets_in(self.headers.get("Authorization", "")):
            self.fail("unauthenticated")
        elif self.path.endswith(":generateAccessToken"):
            ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
            self.answer(200, {"accessToken": granted(), "expireTime": ends})
        else:
            self.use(json.loads(body))

    def grant(self, form):
        kind = form["grant_type"].rpartition(":")[2]
        is_good = {
            "jwt-bearer": lambda: is_signed(form["assertion"], lambda claims: claims["aud"].endswith("/token")),
            "refresh_token": lambda: form["refresh_token"] == "PLANTED-refresh",
            "token-exchange": lambda: is_of_aws(form["subject_token"], form["audience"])
            if form["subject_token_type"].endswith("aws4_request")
            else form["subject_token"] == "PLANTED-subject",
        }[kind]
        if is_good():
            self.answer(200, {"access_token": granted(), "expires_in": 3599, "token_type": "Bearer"})
        else:
            words = "Token has been expired or revoked."
            self.answer(400, {"error": "invalid_grant", "error_description": words})

    def use(self, wish):
        global now, most
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        key, _, operation = path.removeprefix("/v1/").rpartition(":")
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
            tokens.add(STATIC)
            return self.fail("unauthenticated")
        elif fault:
            headers = [("Retry-After", "1")] if fault[0] == "throttled" else []
            return self.fail(fault[0], headers)
        if operation == "encrypt":
            blob = wrap(key, base64.b64decode(wish["plaintext"]))
            said = {"name": f"{key}/cryptoKeyVersions/1", "ciphertext": base64.b64encode(blob).decode()}
            return self.answer(200, said)
        payload = unwrap(key, base64.b64decode(wish["ciphertext"]))
        if payload is None:
            words = "Decryption failed: verify that 'name' refers to the correct CryptoKey."
            return self.answer(400, {"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}})
        self.answer(200, {"plaintext": base64.b64encode(payload).decode(), "usedPrimary": True})


ThreadingHTTPServer.request_queue_size = 64
server = ThreadingHTTPServer(("127.0.0.1", PORT), Server)
print("listens", flush=True)
server.serve_forever()
