//! Certificates for one server, made by the real openssl in the server's folder.

use std::path::Path;
use std::process::Command;

/// Makes a certificate authority: `ca.crt` and `ca.key`, in PEM.
#[track_caller]
pub(crate) fn make_authority(folder: &Path) {
    certificate(folder, "ca", &[]);
}

/// Makes a certificate by the authority, for programs on this machine, servers and clients: `NAME.crt` and `NAME.key`.
#[track_caller]
pub(crate) fn make_certificate(folder: &Path, name: &str) {
    make_certificate_for(folder, name, "subjectAltName=IP:127.0.0.1,DNS:localhost");
}

/// As [`make_certificate`], for these names (`subjectAltName=...`).
#[track_caller]
pub(crate) fn make_certificate_for(folder: &Path, name: &str, names: &str) {
    let names = ["-addext", names];
    let kind = ["-addext", "basicConstraints=critical,CA:FALSE"];
    certificate(folder, name, &[&["-CA", "ca.crt", "-CAkey", "ca.key"][..], &names, &kind].concat());
}

#[track_caller]
fn certificate(folder: &Path, name: &str, options: &[&str]) {
    let (subject, file, key_file) = (format!("/CN={name}"), format!("{name}.crt"), format!("{name}.key"));
    let key = ["-noenc", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", &key_file];
    let args = ["req", "-x509", "-days", "30", "-subj", &subject, "-out", &file];
    openssl(folder, &[&args[..], &key, options].concat());
}

/// Runs openssl in a folder.
#[track_caller]
pub(crate) fn openssl(folder: &Path, args: &[&str]) {
    let output = Command::new("openssl")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("cannot start openssl: {error}"));
    assert!(output.status.success(), "$ openssl {args:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
