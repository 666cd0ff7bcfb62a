//! Names of values that are always secret: few, so that each hit is worth a look.
//!
//! A name is read word by word, however the words are joined, and the last ones say what the value is.

/// What such a name ends with, without marks between words. Not `secret`, which names a Secret.
const ENDS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "privatekey",
    "privkey",
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

/// Words that say it at the end of a name.
const WORDS: [&str; 3] = ["token", "pwd", "pass"];

/// What comes before these when they are no secret: names of pages, of a model's words, of what is done in turn.
const HARMLESS: [&str; 26] = [
    "bos",
    "by",
    "cancellation",
    "cls",
    "continuation",
    "end",
    "eos",
    "first",
    "high",
    "low",
    "mask",
    "max",
    "min",
    "must",
    "next",
    "num",
    "pad",
    "page",
    "proxy",
    "render",
    "second",
    "sep",
    "special",
    "start",
    "stop",
    "unk",
];

/// Words that say it together with one before them.
const PAIRS: [(&str, &[&str]); 2] = [
    (
        "secret",
        &["app", "consumer", "cookie", "hmac", "jwt", "oauth", "session", "shared", "signing", "webhook"],
    ),
    (
        "key",
        &["account", "decryption", "hmac", "jwt", "master", "secret", "session", "shared", "ssh", "storage"],
    ),
];

/// In many manifests this names an entry of a Secret, and `secret_key` is one.
const ENTRY_OF_SECRET: &str = "ecretKey";

/// What a name begins with that says which Secret is meant, or whether there is one.
const REFERRING: [&str; 5] = ["automount", "enable", "existing", "require", "use"];

/// Words that say nothing of what a value is, but how it is written.
const FORMS: [&str; 14] = [
    "value",
    "values",
    "data",
    "content",
    "text",
    "string",
    "plain",
    "plaintext",
    "b64",
    "base64",
    "hex",
    "pem",
    "raw",
    "v",
];

/// Words for one of several values of a kind, which is what is above them.
const ROLES: [&str; 12] = [
    "admin",
    "current",
    "default",
    "main",
    "new",
    "old",
    "previous",
    "primary",
    "production",
    "root",
    "secondary",
    "staging",
];

/// Whether a value of this name is a password, token or key.
pub fn is_of_secret(name: &str) -> bool {
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.first().is_some_and(|first| REFERRING.contains(first)) {
        return false;
    }
    let whole = words.concat();
    ENDS.iter().any(|end| whole.ends_with(end)) || is_by_words(&words) && !name.contains(ENTRY_OF_SECRET)
}

fn is_by_words(words: &[&str]) -> bool {
    let Some((last, before)) = words.split_last() else { return false };
    let before = before.last();
    let is_pair =
        |(word, of): &(&str, &[&str])| word == last && before.is_some_and(|before| of.contains(before));
    WORDS.contains(last) && before.is_none_or(|before| !HARMLESS.contains(before))
        || PAIRS.iter().any(is_pair)
}

/// Whether a name stands for what is above it, as in `password: {value: ...}`.
pub fn is_of_content(name: &str) -> bool {
    match &words(name)[..] {
        [] => true,
        [word] => ROLES.contains(&word.as_str()),
        _ => false,
    }
}

/// The words of a name, in small letters, without those at its end that say nothing, and numbers; the last one as of one
/// thing.
fn words(name: &str) -> Vec<String> {
    let parts = name.split(|char: char| !char.is_alphanumeric());
    let mut words: Vec<String> = parts.flat_map(humps).map(str::to_lowercase).collect();
    while let Some(word) = words.pop() {
        let bare = word.trim_end_matches(|char: char| char.is_ascii_digit());
        let says_nothing = |word: &str| word.is_empty() || FORMS.contains(&word);
        if !says_nothing(&word) && !says_nothing(bare) {
            words.push(one_of(bare).to_owned());
            break;
        }
    }
    words
}

/// Words that are put together by large letters.
fn humps(part: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = part.char_indices().collect();
    let is_start = |at: usize| {
        let is_large = |at: usize| chars.get(at).is_some_and(|(_, char)| char.is_uppercase());
        let is_small = |at: usize| chars.get(at).is_some_and(|(_, char)| char.is_lowercase());
        is_large(at) && (!is_large(at - 1) || is_small(at + 1))
    };
    let starts = (1..chars.len()).filter(|&at| is_start(at)).map(|at| chars[at].0);
    let mut words = Vec::new();
    let mut from = 0;
    for to in starts.chain([part.len()]) {
        words.push(&part[from..to]);
        from = to;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A word without the `s` of many. Tokens are what texts are counted in, too.
fn one_of(word: &str) -> &str {
    let one = word.strip_suffix('s').filter(|one| !one.ends_with('s') && *one != "token");
    one.unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_names_are_those_of_secrets() {
        let names = "password DB_PASSWORD apiKey api-key APIKey token oauth.client_secret Pass password1 passwords password: \
            password#1 db_pass dbPwd github_token GITHUB_TOKEN slack-token sessionToken webhook_token jwt_secret secret_key \
            SECRET_KEY ssh_key private_key_pem client_secret_value passwordBase64 api_key_v2 DB_PASSWORD_2 dbpassword \
            tokenValue apiKeys masterKey";
        for name in names.split_whitespace() {
            assert!(is_of_secret(name), "{name}");
        }
        let names = "host passwordFile secretName secretKey adminSecretKey secret tokenTTL token_url compass bypass \
            automountToken automountServiceAccountToken passwordRef existingSecret existingSecretPasswordKey keyPath \
            private_key_path usePassword imagePullSecret tlsSecret tokens max_tokens maxTokens next_token pageToken pad_token \
            proxy_pass first_pass passwordSecretRef passwordKey token_endpoint public_key key keys tokenizer value data \
            password_min_length tokenExpirationSeconds 1";
        for name in names.split_whitespace() {
            assert!(!is_of_secret(name), "{name}");
        }
    }

    #[test]
    fn some_names_say_what_is_above_them() {
        for name in ["value", "Values", "data", "plain_text", "base64", "main", "default", "1", "-"] {
            assert!(is_of_content(name), "{name}");
        }
        for name in ["policy", "minLength", "secretName", "main_host", "key", "path"] {
            assert!(!is_of_content(name), "{name}");
        }
    }
}
