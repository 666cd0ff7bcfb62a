//! Runs `gpg`, and says what its status lines mean.
//!
//! Owns its arguments and the meaning of its answers (`doc/DETAILS` of GnuPG). What it says to people is not repeated:
//! it is in their language, and says no more than the status lines. Names no file: what is encrypted and decrypted goes
//! through pipes.

use super::Fingerprint;
use crate::error::{Error, Kind, Result};
use crate::host::{Command, Host, Ran};
use crate::secret::SecretBytes;

/// Names another program than the `gpg` on the `PATH`, as in sops.
const PROGRAM: &str = "SOPS_GPG_EXEC";

/// What begins a status line.
const STATUS: &str = "[GNUPG:] ";

/// Wraps a data key, or a share of one, for a key: an armored message without a line end behind it, as sops stores it.
pub(super) fn encrypt(host: &dyn Host, key: &Fingerprint, payload: &[u8]) -> Result<String> {
    let name = key.as_str();
    // The user has named the key, so nobody else has to vouch for it; and nobody else gets it. Not `--trusted-key`, as in
    // sops, by which whomever this key has signed would count as known in other runs, too.
    let args = [
        "--no-default-recipient",
        "--yes",
        "--encrypt",
        "-a",
        "-r",
        name,
        "--trust-model",
        "always",
        "--no-encrypt-to",
    ];
    let cannot = |why: &str| Error::new(Kind::Other, format!("cannot wrap the data key for {key}: {why}"));
    let ran = run(host, &args, payload).map_err(|error| cannot(error.message()).advise(NO_GPG))?;
    let message = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
    if ran.success && message.starts_with("-----BEGIN PGP MESSAGE-----") {
        return Ok(message);
    }
    let problem = why_not_encrypted(&statuses(&ran), name);
    Err(cannot(problem.what).advise(problem.advice(name)))
}

/// Unwraps what a key has wrapped.
pub(super) fn decrypt(host: &dyn Host, key: &Fingerprint, enc: &str) -> Result<SecretBytes> {
    let cannot = |why: &str| Error::new(Kind::NoDataKey, format!("{key}: {why}"));
    let ran = run(host, &["-d"], enc.as_bytes()).map_err(|error| cannot(error.message()).advise(NO_GPG))?;
    // gpg ends well, too, with what was never encrypted, and an old one with nothing where it does not know the cipher.
    let is_decrypted =
        statuses(&ran).iter().any(|status| status.first().is_some_and(|word| word == "DECRYPTION_OKAY"));
    if ran.success && is_decrypted && !ran.stdout.is_empty() {
        return Ok(ran.stdout);
    }
    let problem = match ran.success && !ran.stdout.is_empty() {
        true => Problem { what: "the message was never encrypted", helps: None },
        false => why_not_decrypted(&statuses(&ran)),
    };
    let error = cannot(problem.what);
    Err(match problem.helps {
        Some(_) => error.advise(problem.advice(key.as_str())),
        None => error,
    })
}

/// Which halves of a key gpg has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halves {
    Neither,
    Public,
    Both,
}

/// Which halves of a key gpg has. Opens nothing, and asks nobody.
pub fn halves(host: &dyn Host, key: &Fingerprint) -> Result<Halves> {
    for (list, halves) in [("--list-secret-keys", Halves::Both), ("--list-keys", Halves::Public)] {
        let args = ["--batch", "--with-colons", list, key.as_str()];
        if run(host, &args, &[]).map_err(|error| error.advise(NO_GPG))?.success {
            return Ok(halves);
        }
    }
    Ok(Halves::Neither)
}

const NO_GPG: &str = "Install GnuPG, or name the program with SOPS_GPG_EXEC.";

fn run(host: &dyn Host, args: &[&str], input: &[u8]) -> Result<Ran> {
    let program = host.env(PROGRAM).unwrap_or_else(|| "gpg".into());
    // Where nobody may be asked, gpg asks nobody either.
    let quiet: &[&str] = if host.may_run_plugins() { &[] } else { &["--batch", "--pinentry-mode", "error"] };
    let general = ["--status-fd", "2", "--no-auto-key-retrieve"];
    let args = general.iter().chain(quiet).chain(args).map(Into::into).collect();
    host.run(&Command { program, args, ..Command::default() }, input)
}

/// The status lines, each as its words.
fn statuses(ran: &Ran) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&ran.stderr);
    let lines = text.lines().filter_map(|line| line.strip_prefix(STATUS));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Why gpg did not do it, and the command that helps.
struct Problem {
    what: &'static str,
    /// With `KEY` where the name of the key belongs.
    helps: Option<&'static str>,
}

impl Problem {
    const fn new(what: &'static str, helps: &'static str) -> Self {
        Self { what, helps: Some(helps) }
    }

    fn advice(&self, name: &str) -> String {
        self.helps
            .unwrap_or("Run gpg yourself to see what is wrong: gpg --list-keys KEY")
            .replace("KEY", name)
    }
}

fn why_not_encrypted(statuses: &[Vec<String>], name: &str) -> Problem {
    let has = |words: &[&str]| {
        statuses
            .iter()
            .any(|status| status.iter().map(String::as_str).take(words.len()).eq(words.iter().copied()))
    };
    let of_this_key = |reason| has(&["INV_RECP", reason, name]);
    if of_this_key("1") {
        return Problem::new(
            "gpg has no such public key",
            "Get the public key from its owner, and run: gpg --import FILE",
        );
    }
    if of_this_key("4") || has(&["KEYREVOKED"]) {
        return Problem::new("the key was revoked", "Remove it from the rule, and add its owner's new key.");
    }
    if of_this_key("5") || has(&["KEYEXPIRED"]) {
        return Problem::new(
            "the key has expired",
            "Ask its owner for the key with a new expiry date, and run: gpg --import FILE",
        );
    }
    match statuses.iter().any(|status| status.first().is_some_and(|word| word == "INV_RECP")) {
        true => {
            Problem::new("gpg cannot encrypt for the key", "See what it can be used for: gpg --list-keys KEY")
        }
        false => Problem { what: "gpg failed", helps: None },
    }
}

/// The codes of libgpg-error that `ERROR pkdecrypt_failed` has, without the part that says who noticed.
fn why_not_decrypted(statuses: &[Vec<String>]) -> Problem {
    let first = |word: &str| statuses.iter().find(|status| status.first().is_some_and(|first| first == word));
    if let Some(code) = first("ERROR").and_then(|status| status.get(2)?.parse::<u32>().ok()) {
        match code & 0xffff {
            11 | 87 => {
                return Problem::new(
                    "the passphrase is wrong",
                    "Try again, and give the passphrase of the key.",
                );
            }
            99 | 198 => return Problem { what: "no passphrase was given", helps: None },
            85 | 86 => {
                return Problem::new(
                    "gpg needs a passphrase, and cannot ask for one here",
                    "Have gpg-agent remember it first (gpg --decrypt FILE), or run the command in a terminal.",
                );
            }
            77 => return Problem::new("gpg-agent is not running", "Start it: gpgconf --launch gpg-agent"),
            108 | 112 => {
                return Problem::new(
                    "the smart card is not inserted",
                    "Insert the card, and run the command again.",
                );
            }
            62 => return Problem { what: "nobody answered in time", helps: None },
            _ => {}
        }
    }
    if first("NO_SECKEY").is_some() {
        return Problem { what: "gpg has no secret key that can decrypt it", helps: None };
    }
    if first("NODATA").is_some() {
        return Problem { what: "it is not a PGP message", helps: None };
    }
    Problem { what: "gpg could not decrypt it", helps: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(stderr: &str) -> Vec<Vec<String>> {
        statuses(&Ran { success: false, stdout: SecretBytes::default(), stderr: stderr.as_bytes().to_vec() })
    }

    /// Lines of gpg 2.2.40.
    #[test]
    fn what_gpg_says_is_told_apart() {
        let encrypted = |status: &str| why_not_encrypted(&ran(status), "F").what;
        assert_eq!(
            encrypted("gpg: F: skipped: No public key\n[GNUPG:] INV_RECP 1 F\n"),
            "gpg has no such public key"
        );
        let expired = "[GNUPG:] KEYEXPIRED 1577923200\n[GNUPG:] KEY_CONSIDERED F 3\n[GNUPG:] INV_RECP 0 F\n";
        assert_eq!(encrypted(expired), "the key has expired");
        assert_eq!(encrypted("[GNUPG:] INV_RECP 0 F\n"), "gpg cannot encrypt for the key");
        assert_eq!(encrypted("gpg: INV_RECP 1 F\n"), "gpg failed");

        let decrypted = |status: &str| why_not_decrypted(&ran(status)).what;
        let failed = |code: u32| {
            decrypted(&format!("[GNUPG:] ENC_TO A 1 0\n[GNUPG:] ERROR pkdecrypt_failed {code}\n"))
        };
        assert_eq!(failed(67_108_875), "the passphrase is wrong");
        assert_eq!(failed(67_108_949), "gpg needs a passphrase, and cannot ask for one here");
        assert_eq!(
            decrypted("[GNUPG:] NO_SECKEY A\n[GNUPG:] DECRYPTION_FAILED\n"),
            "gpg has no secret key that can decrypt it"
        );
        assert_eq!(decrypted("[GNUPG:] NODATA 1\n"), "it is not a PGP message");
    }
}
