"""Opens a SealedSecret: JSON on standard input, files of age identities as arguments. Prints the values, in base64.

Written from docs/format.md, to show that it says enough for another implementation. It has none of Sealant's code: age
is the real program, the cipher is PyCryptodome's.
"""

import base64, hmac, json, subprocess, sys
from Crypto.Cipher import ChaCha20_Poly1305
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

CONTEXT = b"sealant.dev/SealedSecret/v1"


def decode(text):
    data = base64.b64decode(text, validate=True)
    assert base64.b64encode(data).decode() == text, "base64 that is not canonical"
    return data


def unwrap(group, length):
    """What the first recipient's age file holds for one of the identities; None for none."""
    for enc in [entry["enc"] for entry in group.get("age", [])]:
        armored = "".join(line for line in enc.splitlines() if not line.startswith("-----"))
        assert b"\n-> scrypt " not in base64.b64decode(armored), "a data key is wrapped with a passphrase"
        for identity in sys.argv[1:]:
            age = ["age", "--decrypt", "--identity", identity]
            opened = subprocess.run(age, input=enc.encode(), capture_output=True)
            if opened.returncode == 0:
                assert len(opened.stdout) == length, "a wrapped key has a wrong length"
                return opened.stdout


def multiply(a, b):
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = (a << 1) ^ (0x11B if a & 0x80 else 0), b >> 1
    return product


def combine(shares):
    """The polynomials through the shares, at 0."""
    key = bytes(32)
    for share in shares:
        factor = 1
        for x in [other[32] for other in shares if other is not share]:
            inverse = next(y for y in range(1, 256) if multiply(y, x ^ share[32]) == 1)
            factor = multiply(factor, multiply(x, inverse))
        key = bytes(k ^ multiply(factor, y) for k, y in zip(key, share))
    return key


def data_key(entry):
    if not entry.get("keyGroups"):
        assert "shamirThreshold" not in entry, "a threshold without groups"
        return unwrap(entry, 32)
    threshold = entry.get("shamirThreshold", len(entry["keyGroups"]))
    assert 2 <= threshold <= len(entry["keyGroups"]) and not entry.get("age"), "odd key groups"
    shares = [share for share in (unwrap(group, 33) for group in entry["keyGroups"]) if share]
    return combine(shares[:threshold]) if len(shares) >= threshold else None


sealed = json.load(sys.stdin)
metadata, spec = sealed["metadata"], sealed["spec"]
assert sealed["apiVersion"] == "sealant.dev/v1alpha1" and sealed["kind"] == "SealedSecret"

item_keys = {}
for entry in spec.get("dataKeys", []):
    commitment, key = decode(entry["commitment"]), data_key(entry)
    assert key, "no identity opens a data key"
    derived = HKDF(key, 64, b"", SHA256, context=CONTEXT)
    assert hmac.compare_digest(commitment, derived[:32]), "not the key that the commitment names"
    assert entry["id"] == commitment[:4].hex() and entry["id"] not in item_keys, "a wrong id"
    item_keys[entry["id"]] = derived[32:]

scope = spec.get("scope", "strict")
namespace = "" if scope == "cluster" else metadata["namespace"]
name = metadata["name"] if scope == "strict" else ""
values = {}
for item, text in spec["encryptedData"].items():
    id, payload = text.split(":", 1)
    payload = decode(payload)
    cipher = ChaCha20_Poly1305.new(key=item_keys[id], nonce=payload[:24])
    for part in [CONTEXT] + [part.encode() for part in (scope, namespace, name, item)]:
        cipher.update(len(part).to_bytes(8, "big") + part)
    values[item] = base64.b64encode(cipher.decrypt_and_verify(payload[24:-16], payload[-16:])).decode()
print(json.dumps(values))
