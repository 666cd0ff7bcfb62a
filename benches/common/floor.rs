//! The least that a document costs: it is read once, and its bytes go through the cipher once. Run as a process of its own,
//! so that it is measured as the programs are.

use std::sync::LazyLock;

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce};
use base64::prelude::{BASE64_STANDARD, Engine};
use sealant::document::{self, Format, NodeKind};
use sealant::secret::SecretBytes;

/// What makes the benchmark run the floor instead of itself, with a file.
pub const FLOOR: &str = "--floor";

/// Runs the floor if the arguments of this process ask for it.
pub fn ran() -> bool {
    let args: Vec<String> = std::env::args().collect();
    let [_, first, path] = args.as_slice() else { return false };
    if first != FLOOR {
        return false;
    }
    let file = std::fs::read(path).expect("a file that was written before");
    std::hint::black_box(spend(Format::of_path(path.as_ref()), SecretBytes::new(file)));
    true
}

fn spend(format: Format, file: SecretBytes) -> usize {
    let is_encrypted = file.windows(TOKEN.len()).take(1_000_000).any(|bytes| bytes == TOKEN.as_bytes());
    let document = document::parse(format, file, is_encrypted).expect("a document");
    if let Some(payload) = document.payload() {
        return cipher(payload.to_vec());
    }
    let tree = document.tree();
    let nodes = tree.documents().iter().flat_map(|&root| tree.descendants(root));
    let scalars = nodes.filter(|&node| tree[node].kind == NodeKind::Scalar);
    scalars.map(|node| value(tree[node].text.get(document.source()))).sum()
}

const TOKEN: &str = "ENC[AES256_GCM,data:";

fn value(text: &str) -> usize {
    let data = text.strip_prefix(TOKEN).and_then(|token| token.split_once(','));
    match data {
        Some((data, _)) => cipher(BASE64_STANDARD.decode(data).expect("base64")),
        None => BASE64_STANDARD.encode(text).len() + cipher(text.into()),
    }
}

/// Encrypting is what decrypting is, to the counter mode of AES and to its tag.
fn cipher(mut data: Vec<u8>) -> usize {
    static KEY: LazyLock<AesGcm<Aes256, U32>> = LazyLock::new(|| AesGcm::new(&[7; 32].into()));
    let tag = KEY.encrypt_in_place_detached(Nonce::from_slice(&[7; 32]), b"", &mut data).expect("short");
    std::hint::black_box(&data).len() + tag.len()
}
