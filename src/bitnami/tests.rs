//! Against vectors that the reference implementation agrees with: `fixtures/bitnami`.

use std::collections::BTreeMap;

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::*;
use crate::secret::SecretBytes;
use crate::template::render_all;

fn file(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bitnami").join(name);
    std::io::read_to_string(std::fs::File::open(&path).unwrap()).unwrap()
}

fn cases(name: &str) -> Vec<Value> {
    serde_json::from_str(&file(name)).unwrap()
}

fn key(name: &str) -> SealingKey {
    let [key, certificate] = ["key", "cert"].map(|what| file(&format!("keys/{name}.{what}.pem")));
    SealingKey::read(key.as_bytes(), certificate.as_bytes()).unwrap()
}

fn text<'v>(case: &'v Value, field: &str) -> &'v str {
    case[field].as_str().unwrap()
}

/// An object with one item, which is bound to a label.
fn with_item(label: &str, sealed: &str) -> SealedSecret {
    let (namespace, name) = label.split_once('/').unwrap_or((label, ""));
    let scope = match label.split_once('/') {
        Some(_) => Scope::Strict,
        None if label.is_empty() => Scope::Cluster,
        None => Scope::Namespace,
    };
    let items = [("foo".to_owned(), sealed.to_owned())].into();
    SealedSecret {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        scope,
        items,
        ..SealedSecret::default()
    }
}

fn opened(sealed: &SealedSecret, keys: &[SealingKey]) -> Result<BTreeMap<String, SecretBytes>, NotOpened> {
    open(sealed, &keys.iter().collect::<Vec<_>>(), 0).map(|(items, _)| items)
}

#[test]
fn what_was_sealed_opens() {
    let cases = ["raw.json", "raw-accepted-spellings.json"].map(cases).concat();
    assert!(cases.len() > 25);
    for case in cases {
        let sealed = with_item(text(&case, "label"), text(&case, "sealed_b64"));
        let items = opened(&sealed, &[key(text(&case, "key"))]).unwrap();
        assert_eq!(STANDARD.encode(&*items["foo"]), text(&case, "plaintext_b64"), "{}", case["id"]);
    }
}

#[test]
fn what_is_broken_moved_or_for_another_key_does_not_open() {
    for case in cases("raw-negative.json") {
        let keys: Vec<_> =
            case["keys"].as_array().unwrap().iter().map(|name| key(name.as_str().unwrap())).collect();
        let error = opened(&with_item(text(&case, "label"), text(&case, "sealed_b64")), &keys).unwrap_err();
        let class = match error.0[0].0 {
            Fault::Base64 { .. } => "base64",
            Fault::NoKey | Fault::NotTried => "no-key",
        };
        assert_eq!(class, case["error_class"], "{}", case["id"]);
    }
}

/// Each with the values, the labels and the type that their controller gives it, or with its words.
#[test]
fn objects_open_as_their_controller_opens_them() {
    let mut count = 0;
    for case in cases("unseal-cases.json") {
        let object: Value = serde_yaml::from_str(&file(text(&case, "file"))).unwrap();
        let metadata = &object["metadata"];
        let annotations = serde_json::from_value(metadata["annotations"].clone()).unwrap_or_default();
        let [namespace, name] =
            ["namespace", "name"].map(|field| metadata[field].as_str().unwrap_or_default());
        let sealed = SealedSecret::read(namespace, name, &annotations, &object["spec"]);
        if sealed.has_blob {
            continue;
        }
        count += 1;
        let keys: Vec<_> =
            case["keys"].as_array().unwrap().iter().map(|name| key(name.as_str().unwrap())).collect();
        // Where their versions differ, as the newest does it.
        let expected =
            case["variants"].as_array().and_then(|all| all.last()).unwrap_or(&case)["expect_secret"].clone();
        let made = opened(&sealed, &keys).map(|items| render_all(&sealed.template.data, items));
        if case["expect_error"]["class"] == "template" {
            // Why is said in words of ours, which have no values in them.
            let error = made.unwrap().unwrap_err();
            assert_eq!(
                serde_json::to_value(&error.0[0].1).unwrap(),
                case["expect_error"]["items"],
                "{error}"
            );
            continue;
        }
        match made.map(Result::unwrap) {
            Err(error) => {
                assert_eq!(error.to_string(), case["expect_error"]["reference_message"], "{}", case["id"]);
            }
            Ok(items) => {
                let items: BTreeMap<_, _> =
                    items.iter().map(|(key, value)| (key, STANDARD.encode(value.as_slice()))).collect();
                assert_eq!(serde_json::to_value(items).unwrap(), expected["data"], "{}", case["id"]);
                let Template { labels, annotations, kind, immutable, .. } = sealed.template;
                let of = |field: &str| {
                    serde_json::from_value(expected["metadata"][field].clone()).unwrap_or_default()
                };
                assert_eq!([labels, annotations], [of("labels"), of("annotations")], "{}", case["id"]);
                assert_eq!(kind, expected["type"].as_str().unwrap_or_default(), "{}", case["id"]);
                assert_eq!(immutable, expected["immutable"].as_bool().unwrap_or_default(), "{}", case["id"]);
            }
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn a_secret_without_a_key_that_opens_is_told_from_one_with() {
    let list: Value = serde_json::from_str(&file("keys/bad-key-secrets.json")).unwrap();
    let expected = [
        ("bad-key-garbage", BadKey::NoKey),
        ("bad-key-ec", BadKey::NotRsa),
        ("bad-key-no-cert", BadKey::NoCertificate),
        ("bad-key-missing-fields", BadKey::NoKey),
    ];
    for (item, (name, expected)) in list["items"].as_array().unwrap().iter().zip(expected) {
        let data = |field: &str| STANDARD.decode(item["data"][field].as_str().unwrap_or_default()).unwrap();
        let bad = SealingKey::read(&data("tls.key"), &data("tls.crt")).unwrap_err();
        assert_eq!((text(&item["metadata"], "name"), bad), (name, expected));
    }
    // The same key in another form is the same key.
    let other = SealingKey::read(
        file("keys/rsa4096-a.pkcs8.key.pem").as_bytes(),
        file("keys/expired.cert.pem").as_bytes(),
    );
    assert_eq!(other.unwrap().print(), key("rsa4096-a").print());
    assert_ne!(key("rsa4096-a").print(), key("rsa4096-b").print());
    assert_eq!(format!("{:?}", key("rsa2048-c")), "SealingKey(..)");
}

#[test]
fn the_key_that_opens_is_tried_first_and_what_does_not_open_costs_no_end() {
    let keys = ["rsa4096-b", "rsa2048-c", "rsa4096-a"].map(key);
    let keys: Vec<_> = keys.iter().collect();
    let case = cases("raw.json").remove(0);
    let mut sealed = with_item(text(&case, "label"), text(&case, "sealed_b64"));
    let good = sealed.items["foo"].clone();
    sealed.items = (0..20).map(|index| (format!("{index:04}"), good.clone())).collect();
    let (items, last) = open(&sealed, &keys, 0).unwrap();
    assert_eq!((items.len(), last), (20, 2));
    sealed.namespace = "elsewhere".to_owned();
    sealed.items = (0..200).map(|index| (format!("{index:04}"), good.clone())).collect();
    let error = open(&sealed, &keys, last).unwrap_err();
    let counts: Vec<_> = error.0.iter().map(|(fault, items)| (*fault, items.len())).collect();
    assert_eq!(counts, [(Fault::NoKey, 86), (Fault::NotTried, 114)]);
    assert!(error.to_string().starts_with("no key could decrypt secret (0000, 0001"));
}

/// What is made is read, opens what is sealed for its certificate, and is a certificate by the word of openssl.
#[test]
#[allow(clippy::disallowed_methods)]
fn a_key_that_is_made_is_one_of_theirs() {
    let now: jiff::Timestamp = "2026-11-29T10:00:00Z".parse().unwrap();
    let made = generate(now, std::time::Duration::from_secs(87_600 * 3600)).unwrap();
    assert!(made.key.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"), "PKCS#1");
    let key = SealingKey::read(made.key.as_bytes(), made.certificate.as_bytes()).unwrap();
    let certificate = Certificate::read(made.certificate.as_bytes()).unwrap();
    assert!(certificate.print() == key.print() && certificate.pem() == made.certificate);
    assert_eq!(certificate.not_before(), now);
    assert_eq!(certificate.not_after(), "2036-11-26T10:00:00Z".parse().unwrap());
    let sealed = with_item("shop/db", &seal(b"hunter2", "shop/db", &certificate).unwrap());
    assert_eq!(**opened(&sealed, &[key]).unwrap()["foo"], *b"hunter2");

    let file = std::env::temp_dir().join(format!("sealant-made-{}.pem", std::process::id()));
    std::fs::write(&file, &made.certificate).unwrap();
    let openssl = |args: &[&str]| {
        let output = std::process::Command::new("openssl").args(args).arg(&file).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = openssl(&["x509", "-noout", "-text", "-in"]);
    for part in ["Version: 3", "sha256WithRSAEncryption", "4096 bit", "critical", "Encipher Only", "CA:TRUE"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    std::fs::remove_file(&file).unwrap();
    // Its signature is by its own key.
    use x509_cert::der::{Decode, Encode};
    let der = CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap();
    let parsed = x509_cert::Certificate::from_der(&der).unwrap();
    let public = parsed.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes();
    let (text, signature) = (parsed.tbs_certificate.to_der().unwrap(), parsed.signature.raw_bytes());
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(&text, signature).unwrap();
}

#[test]
fn a_certificate_is_written_as_it_was() {
    for name in ["rsa4096-a", "rsa2048-byo"] {
        let text = file(&format!("keys/{name}.cert.pem"));
        assert_eq!(Certificate::read(text.as_bytes()).unwrap().pem(), text);
        assert_eq!(Certificate::read(text.as_bytes()).unwrap().print(), key(name).print());
    }
}
