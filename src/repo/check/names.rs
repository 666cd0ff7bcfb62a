//! Names of values that are secret whatever anybody says: few, so that each hit is worth a look.

/// What such a name ends with, in small letters and without marks between words. Not `secretKey`, which in many manifests
/// names an entry of a Secret, nor `secret`, which names a Secret.
const ENDS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "privatekey",
    "apikey",
    "accesskey",
    "clientsecret",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "apitoken",
    "bottoken",
    "signingkey",
    "encryptionkey",
];

/// Those that say it only when there is nothing else.
const WHOLE: [&str; 3] = ["token", "pwd", "pass"];

/// Names that say nothing of a value: what is above it does.
const CONTENT: [&str; 8] = ["value", "values", "data", "content", "text", "string", "plain", "plaintext"];

/// Whether a value of this name is a password, token or key.
pub fn is_of_secret(name: &str) -> bool {
    let name = letters(name);
    ENDS.iter().any(|end| name.ends_with(end)) || WHOLE.contains(&name.as_str())
}

/// Whether a name stands for what is above it, as in `password: {value: ...}`.
pub fn is_of_content(name: &str) -> bool {
    CONTENT.contains(&letters(name).as_str())
}

fn letters(name: &str) -> String {
    let letters = name.chars().filter(|char| !matches!(char, '_' | '-' | '.' | ' '));
    letters.collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_names_are_those_of_secrets() {
        for name in ["password", "DB_PASSWORD", "apiKey", "api-key", "token", "oauth.client_secret", "Pass"] {
            assert!(is_of_secret(name), "{name}");
        }
        for name in [
            "host",
            "passwordFile",
            "secretName",
            "secretKey",
            "secret",
            "tokenTTL",
            "compass",
            "automountToken",
        ] {
            assert!(!is_of_secret(name), "{name}");
        }
    }
}
