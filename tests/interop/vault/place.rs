//! Where one test runs: its files, the server that tests share, and the program under test, whose every word is
//! searched for secrets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealant_test_support::{Bao, Output, Run, Sandbox, Terminal};
use serde_json::{Value, json};

/// As sops would write it: whoever wrote the file last, its plaintext is this.
pub const PLAIN: &str = "# note\nname: shop\npassword: hunter2\n";

/// What must not be beside the result in any output.
const PLAINTEXT: &str = "hunter2";

/// The server that tests share. Who seals it, or counts all of its requests, starts another.
pub static BAO: LazyLock<Bao> = LazyLock::new(Bao::start);

/// A token that may do everything. The root token is a word that is in messages anyway.
static TOKEN: LazyLock<String> = LazyLock::new(|| token(&BAO, &["-policy=root"]));

/// What no output of the program under test may hold, whichever test it runs for.
static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Declares a secret, and returns it.
pub fn secret(text: impl Into<String>) -> String {
    let text = text.into();
    assert!(text.len() > 8, "`{text}` may stand in an output by chance");
    secrets().push(text.clone());
    text
}

/// A test that has failed while it looked is no reason not to look.
fn secrets() -> MutexGuard<'static, Vec<String>> {
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a token, which is a secret.
pub fn token(bao: &Bao, options: &[&str]) -> String {
    secret(bao.token(options))
}

/// Makes one token that may do everything on two servers.
pub fn token_of_both(one: &Bao, other: &Bao) -> String {
    let id = secret(format!("planted-{}", &token(one, &["-policy=default"])[2..]));
    for bao in [one, other] {
        bao.bao(&["token", "create", &format!("-id={id}"), "-policy=root"]).run().ok();
    }
    id
}

/// The URI of a transit key.
pub fn uri(bao: &Bao, engine: &str, name: &str) -> String {
    format!("{}/v1/{engine}/keys/{name}", bao.address())
}

/// Makes a transit key on the shared server, in an engine of its own if nobody else names it so. Returns its URI.
pub fn key(engine: &str, name: &str) -> String {
    BAO.transit_key(engine, name);
    uri(&BAO, engine, name)
}

/// An address at which nobody listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    format!("http://{}", listener.local_addr().expect("a listener has an address"))
}

/// How many requests the server has got for this path and what begins with it.
pub fn count(bao: &Bao, path: &str) -> usize {
    bao.requests_to(path).len()
}

/// A request to a server that speaks HTTP, as one who may do everything.
pub fn ask(bao: &Bao, method: &str, path: &str, body: Value) -> Value {
    let address = bao.address().strip_prefix("http://").expect("a server that speaks HTTP");
    let mut stream = TcpStream::connect(address).expect("the server takes connections");
    let body = body.to_string();
    let head = format!("{method} /v1/{path} HTTP/1.0\r\nX-Vault-Token: {}\r\n", bao.root_token());
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{length}{body}").as_bytes()).expect("the server takes requests");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains(" 200 ") || head.contains(" 204 "), "{method} {path}\n{answer}");
    if body.is_empty() { Value::Null } else { serde_json::from_str(body).expect("JSON") }
}

/// The ciphertexts of transit keys in a file.
pub fn wrapped(text: &str) -> Vec<&str> {
    let starts = text.match_indices("vault:v").map(|(at, _)| &text[at..]);
    starts.map(|rest| rest.split(['\n', '"', '\'', ' ']).next().unwrap_or_default()).collect()
}

/// A directory, and the programs that run in it.
pub struct Place(Sandbox);

impl Deref for Place {
    type Target = Sandbox;
    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Place {
    pub fn new() -> Self {
        Self(Sandbox::new(env!("CARGO_BIN_EXE_sealant")))
    }

    /// The program under test, with a token that may do everything on the shared server.
    pub fn sealant(&self, args: &[&str]) -> Searched {
        self.stranger(args).env("VAULT_TOKEN", &*TOKEN)
    }

    /// The program under test, without any token. The one that it gets may go anywhere, as that of sops.
    pub fn stranger(&self, args: &[&str]) -> Searched {
        self.wary(args).env("SOPS_HC_VAULT_ALLOWLIST", "all")
    }

    /// The program under test as users have it who have settled nothing, without any token.
    pub fn wary(&self, args: &[&str]) -> Searched {
        // Libraries have logs of their own.
        Searched(self.0.sealant(args).env("RUST_LOG", "trace"))
    }

    /// The same, with a token that may do everything on the shared server.
    pub fn wary_with_token(&self, args: &[&str]) -> Searched {
        self.wary(args).env("VAULT_TOKEN", &*TOKEN)
    }

    /// The real sops, with a token that may do everything on the shared server.
    pub fn sops(&self, args: &[&str]) -> Run {
        self.0.sops(args).env("VAULT_TOKEN", &*TOKEN)
    }

    /// Writes a file that is encrypted for these transit keys of the shared server, and declares its data key, or the
    /// shares of it, as secrets.
    pub fn encrypted(&self, file: &str, keys: &[&str]) {
        self.write(file, PLAIN);
        self.sealant(&["encrypt", "-i", "--hc-vault-transit", &keys.join(","), file]).run().ok();
        self.declare_data_key(file);
    }

    /// Declares the data key of a file, or the shares of it, as secrets.
    pub fn declare_data_key(&self, file: &str) {
        let text = self.read_text(file);
        let field = |name: &str| {
            let values = text.lines().filter_map(move |line| line.split_once(&format!("{name}: ")));
            values.map(|(_, value)| value.trim().to_owned()).collect::<Vec<_>>()
        };
        let (engines, names) = (field("engine_path"), field("key_name"));
        for ((engine, name), ciphertext) in engines.iter().zip(&names).zip(wrapped(&text)) {
            let path = format!("{engine}/decrypt/{name}");
            let answer = ask(&BAO, "POST", &path, json!({ "ciphertext": ciphertext }));
            secret(answer["data"]["plaintext"].as_str().expect("a data key"));
        }
    }

    /// Changes a file as an editor would.
    pub fn replace(&self, file: &str, old: &str, new: &str) {
        let text = self.read_text(file);
        assert!(text.contains(old), "`{old}` is not in {file}\n{text}");
        self.write(file, text.replace(old, new));
    }

    /// A config with one creation rule.
    pub fn rule(&self, rule: &str) {
        self.write(".sops.yaml", format!("creation_rules:\n  - {}\n", rule.replace('\n', "\n    ")));
    }

    /// Both programs open a file.
    pub fn opens(&self, file: &str) {
        assert_eq!(self.sealant(&["decrypt", file]).run().ok().text(), PLAIN, "{file}");
        assert_eq!(self.sops(&["decrypt", file]).run().ok().text(), PLAIN, "{file}");
    }

    /// The user's own settings.
    pub fn settings(&self, text: &str) {
        self.write(self.home(".config/sealant/config.yaml"), text);
    }
}

/// The program under test. Nothing but its results may hold a secret.
pub struct Searched(Run);

impl Searched {
    pub fn arg(self, arg: &str) -> Self {
        Self(self.0.arg(arg))
    }

    pub fn env(self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        Self(self.0.env(name, value))
    }

    pub fn envs(self, variables: &[(&str, &str)]) -> Self {
        variables.iter().fold(self, |run, (name, value)| run.env(name, value))
    }

    /// How long it may take. A minute otherwise.
    pub fn within(self, seconds: u64) -> Self {
        Self(self.0.limit(Duration::from_secs(seconds)))
    }

    #[track_caller]
    #[must_use = "check how it ended: ok() or code()"]
    pub fn run(self) -> Output {
        let output = self.0.run();
        search(&output);
        output
    }

    #[track_caller]
    #[must_use = "check how it ended: ok(), code() or failed()"]
    pub fn on_terminal(self) -> Terminal {
        self.0.on_terminal()
    }

    /// Asserts that it fails with this code, and that the message holds these words.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Output {
        let output = self.run().code(code);
        for word in words {
            assert!(output.stderr.contains(word), "`{word}` is not in what it said\n{output}");
        }
        output
    }
}

/// Looks for secrets in what a program has said.
#[track_caller]
pub fn search(output: &Output) {
    let all = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), output.stderr);
    for secret in secrets().iter() {
        assert!(!all.contains(secret.as_str()), "the secret `{secret}` is in the output\n{output}");
    }
    assert!(!output.stderr.contains(PLAINTEXT), "plaintext is in the messages\n{output}");
}
