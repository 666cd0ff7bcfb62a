"""Prints fixtures/sealed/cipher.json: what has to come of fixed keys and nonces, made without any of Sealant's code."""

import base64, json
from Crypto.Cipher import ChaCha20_Poly1305
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

CONTEXT = "sealant.dev/SealedSecret/v1"


def case(key, scope, namespace, name, item, plaintext, nonce):
    derived = HKDF(key, 64, b"", SHA256, context=CONTEXT.encode())
    commitment, item_key = derived[:32], derived[32:]
    bound = [namespace if scope != "cluster" else "", name if scope == "strict" else ""]
    parts = [part.encode() for part in [CONTEXT, scope, *bound, item]]
    associated_data = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    cipher = ChaCha20_Poly1305.new(key=item_key, nonce=nonce)
    cipher.update(associated_data)
    ciphertext, tag = cipher.encrypt_and_digest(plaintext)
    return {
        "dataKey": key.hex(),
        "commitment": base64.b64encode(commitment).decode(),
        "itemKey": item_key.hex(),
        "scope": scope,
        "namespace": namespace,
        "name": name,
        "item": item,
        "associatedData": associated_data.hex(),
        "nonce": nonce.hex(),
        "plaintext": plaintext.hex(),
        "encrypted": commitment[:4].hex() + ":" + base64.b64encode(nonce + ciphertext + tag).decode(),
    }


counting, ascending = bytes(range(32)), bytes(range(24))
docker = '{"auths":{"é":{}}}\n'.encode()
cases = [
    case(counting, "strict", "shop", "db", "password", b"hunter2", ascending),
    case(counting, "strict", "shop", "db", "empty", b"", bytes(range(100, 124))),
    case(counting, "namespace", "shop", "db", "password", b"hunter2", ascending),
    case(counting, "cluster", "shop", "db", "password", b"hunter2", ascending),
    case(bytes([7] * 32), "strict", "a", "b", "tls.key", bytes(range(256)), bytes(range(100, 124))),
    case(bytes(32), "strict", "team-a.example", "x" * 63, ".dockerconfigjson", docker, bytes(24)),
    case(b"\xff" * 32, "strict", "ab", "c", "d", b"x" * 1000, b"\xff" * 24),
]
print(json.dumps(cases, indent=2))
