//! The flags of kubeseal, with those of kubectl and klog, read as Go's pflag reads them.
//!
//! Own code, because clap reads words otherwise: here `-w=out.json` names `out.json`, `--raw=T` is true, a list that a
//! variable begins goes on with flags, words that are no flags are ignored, and what is wrong exits with 2.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;

use crate::host::Host;

/// How variables begin that set a flag: `SEALED_SECRETS_CERT` is `--cert`.
const VARIABLES: &str = "SEALED_SECRETS_";

/// What a flag takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// True or false, true where no value is given. Flags of klog have other texts for what is wrong.
    Switch {
        of_klog: bool,
    },
    Text,
    /// Texts with commas between them, added to those before.
    List,
    /// A text, added to those before.
    More,
    Scope,
    /// What klog reads: the name of the type, and what it says of anything else.
    Klog {
        kind: &'static str,
        complaint: &'static str,
    },
}

struct Flag {
    name: &'static str,
    short: Option<char>,
    takes: Takes,
    default: &'static str,
    usage: &'static str,
}

const fn flag(name: &'static str, takes: Takes, usage: &'static str) -> Flag {
    Flag { name, short: None, takes, default: "", usage }
}

impl Flag {
    const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// As errors name it.
    fn shown(&self) -> String {
        self.short.map_or_else(|| format!("--{}", self.name), |short| format!("-{short}, --{}", self.name))
    }

    /// As the list of flags names what it takes.
    fn kind(&self) -> &'static str {
        match self.takes {
            Takes::Switch { .. } => "",
            Takes::Text | Takes::Scope => "string",
            Takes::List => "strings",
            Takes::More => "stringArray",
            Takes::Klog { kind, .. } => kind,
        }
    }

    /// What is wrong with a value, if anything is.
    fn complaint(&self, value: &str) -> Option<String> {
        let number =
            |fits: bool| (!fits).then(|| format!("strconv.ParseInt: parsing {value:?}: invalid syntax"));
        match self.takes {
            Takes::Switch { of_klog } if truth(value).is_none() => Some(match of_klog {
                true => "parse error".to_owned(),
                false => format!("strconv.ParseBool: parsing {value:?}: invalid syntax"),
            }),
            Takes::Scope if !["", "strict", "namespace-wide", "cluster-wide"].contains(&value) => {
                Some("must be one of: strict, namespace-wide, cluster-wide".to_owned())
            }
            Takes::List => words(value).err(),
            Takes::Klog { kind: "Level", .. } => number(value.parse::<i32>().is_ok()),
            Takes::Klog { kind: "severity", .. } => number(is_severity(value)),
            Takes::Klog { kind: "uint", complaint } => {
                value.parse::<u64>().err().map(|_| complaint.to_owned())
            }
            Takes::Klog { complaint, .. } => {
                (!value.is_empty() && !is_placed(value)).then(|| complaint.to_owned())
            }
            _ => None,
        }
    }
}

/// All of them, in the order of their names, in the words of kubeseal 0.40.
const FLAGS: &[Flag] = {
    use Takes::{Klog, List, More, Scope, Text};
    const SWITCH: Takes = Takes::Switch { of_klog: false };
    const OF_KLOG: Takes = Takes::Switch { of_klog: true };
    const SEVERITY: Takes = Klog { kind: "severity", complaint: "" };
    &[
        flag("add_dir_header", OF_KLOG, "If true, adds the file directory to the header of the log messages"),
        flag("allow-empty-data", SWITCH, "Allow empty data in the secret object"),
        flag(
            "alsologtostderr",
            OF_KLOG,
            "log to standard error as well as files (no effect when -logtostderr=true)",
        ),
        flag(
            "alsologtostderrthreshold",
            SEVERITY,
            "logs at or above this threshold go to stderr when -alsologtostderr=true (no effect when \
             -logtostderr=true)",
        ),
        flag("as", Text, "Username to impersonate for the operation"),
        flag(
            "as-group",
            More,
            "Group to impersonate for the operation, this flag can be repeated to specify multiple groups.",
        ),
        flag("as-uid", Text, "UID to impersonate for the operation"),
        flag(
            "cert",
            Text,
            "Certificate / public key file/URL to use for encryption. Overrides --controller-*",
        ),
        flag("certificate-authority", Text, "Path to a cert file for the certificate authority"),
        flag("client-certificate", Text, "Path to a client certificate file for TLS"),
        flag("client-key", Text, "Path to a client key file for TLS"),
        flag("cluster", Text, "The name of the kubeconfig cluster to use"),
        flag("context", Text, "The name of the kubeconfig context to use"),
        flag("controller-name", Text, "Name of sealed-secrets controller.").default("sealed-secrets-controller"),
        flag("controller-namespace", Text, "Namespace of sealed-secrets controller.").default("kube-system"),
        flag(
            "disable-compression",
            SWITCH,
            "If true, opt-out of response compression for all requests to the server",
        ),
        flag("fetch-cert", SWITCH, "Write certificate to stdout. Useful for later use with --cert"),
        flag("format", Text, "Output format for sealed secret. Either json or yaml").short('o').default("json"),
        flag(
            "from-file",
            List,
            "(only with --raw) Secret items can be sourced from files. Pro-tip: you can use /dev/stdin to read pipe \
             input. This flag tries to follow the same syntax as in kubectl",
        ),
        flag("help", SWITCH, "Print this help message"),
        flag(
            "insecure-skip-tls-verify",
            SWITCH,
            "If true, the server's certificate will not be checked for validity. This will make your HTTPS \
             connections insecure",
        ),
        flag("kubeconfig", Text, "Path to a kube config. Only required if out-of-cluster"),
        flag(
            "legacy_stderr_threshold_behavior",
            OF_KLOG,
            "If true, stderrthreshold is ignored when logtostderr=true (legacy behavior). If false, stderrthreshold \
             is honored even when logtostderr=true",
        )
        .default("true"),
        flag(
            "log_backtrace_at",
            Klog { kind: "traceLocation", complaint: "syntax error: expect file.go:234" },
            "when logging hits line file:N, emit a stack trace",
        )
        .default(":0"),
        flag("log_dir", Text, "If non-empty, write log files in this directory (no effect when -logtostderr=true)"),
        flag("log_file", Text, "If non-empty, use this log file (no effect when -logtostderr=true)"),
        flag(
            "log_file_max_size",
            Klog { kind: "uint", complaint: "parse error" },
            "Defines the maximum size a log file can grow to (no effect when -logtostderr=true). Unit is megabytes. \
             If the value is 0, the maximum file size is unlimited.",
        )
        .default("1800"),
        flag("logtostderr", OF_KLOG, "log to standard error instead of files").default("true"),
        flag(
            "merge-into",
            Text,
            "Merge items from secret into an existing sealed secret file, updating the file in-place instead of \
             writing to stdout.",
        ),
        flag("name", Text, "Name of the sealed secret (required with --raw and default (strict) scope)"),
        flag("namespace", Text, "If present, the namespace scope for this CLI request").short('n'),
        flag(
            "one_output",
            OF_KLOG,
            "If true, only write logs to their native severity level (vs also writing to each lower severity level; \
             no effect when -logtostderr=true)",
        ),
        flag("password", Text, "Password for basic authentication to the API server"),
        flag("proxy-url", Text, "If provided, this URL will be used to connect via proxy"),
        flag(
            "raw",
            SWITCH,
            "Encrypt a raw value passed via the --from-* flags instead of the whole secret object",
        ),
        flag("re-encrypt", SWITCH, "Re-encrypt the given sealed secret to use the latest cluster key."),
        flag(
            "recovery-private-key",
            List,
            "Private key filename used by the --recovery-unseal command. Multiple files accepted either via comma \
             separated list or by repetition of the flag. Either PEM encoded private keys or a backup of a json/yaml \
             encoded k8s sealed-secret controller secret (and v1.List) are accepted. ",
        ),
        flag(
            "recovery-unseal",
            SWITCH,
            "Decrypt a sealed secrets file obtained from stdin, using the private key passed with \
             --recovery-private-key. Intended to be used in disaster recovery mode.",
        ),
        flag(
            "request-timeout",
            Text,
            "The length of time to wait before giving up on a single server request. Non-zero values should contain \
             a corresponding time unit (e.g. 1s, 2m, 3h). A value of zero means don't timeout requests.",
        )
        .default("0"),
        flag(
            "scope",
            Scope,
            "Set the scope of the sealed secret: strict, namespace-wide, cluster-wide (defaults to strict). \
             Mandatory for --raw, otherwise the 'sealedsecrets.bitnami.com/cluster-wide' and \
             'sealedsecrets.bitnami.com/namespace-wide' annotations on the input secret can be used to select the \
             scope.",
        )
        .default("strict"),
        flag("sealed-secret-file", Text, "Sealed-secret (output) file").short('w'),
        flag("secret-file", Text, "Secret (input) file").short('f'),
        flag("server", Text, "The address and port of the Kubernetes API server"),
        flag("skip_headers", OF_KLOG, "If true, avoid header prefixes in the log messages"),
        flag(
            "skip_log_headers",
            OF_KLOG,
            "If true, avoid headers when opening log files (no effect when -logtostderr=true)",
        ),
        flag(
            "stderrthreshold",
            SEVERITY,
            "logs at or above this threshold go to stderr when writing to files and stderr (no effect when \
             -logtostderr=true or -alsologtostderr=true unless -legacy_stderr_threshold_behavior=false)",
        )
        .default("2"),
        flag(
            "tls-server-name",
            Text,
            "If provided, this name will be used to validate server certificate. If this is not provided, hostname \
             used to contact the server is used.",
        ),
        flag("token", Text, "Bearer token for authentication to the API server"),
        flag("user", Text, "The name of the kubeconfig user to use"),
        flag("username", Text, "Username for basic authentication to the API server"),
        flag("v", Klog { kind: "Level", complaint: "" }, "number for the log level verbosity").short('v'),
        flag("validate", SWITCH, "Validate that the sealed secret can be decrypted"),
        flag("version", SWITCH, "Print version information and exit"),
        flag(
            "vmodule",
            Klog {
                kind: "moduleSpec",
                complaint: "syntax error: expect comma-separated list of filename=N",
            },
            "comma-separated list of pattern=N settings for file-filtered logging",
        ),
    ]
};

/// The old name of `--re-encrypt`, which is in no list any more.
const DEPRECATED: Flag = flag("rotate", Takes::Switch { of_klog: false }, "");

/// What a command line says.
#[derive(Debug, Default)]
pub struct Flags {
    values: BTreeMap<&'static str, Vec<String>>,
    /// Whether an old flag was used: kubeseal says so on standard output.
    pub is_deprecated: bool,
}

/// Why a command line cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It asks for help by `-h`, which kubeseal does not list.
    Help,
    Wrong(String),
}

impl Flags {
    /// Reads the words behind the program's name, and the variables of all flags; those with a wrong value are ignored.
    pub fn read(words: &[OsString], host: &dyn Host) -> Result<Self, Unread> {
        let mut flags = Self::default();
        for flag in FLAGS {
            let name = format!("{VARIABLES}{}", flag.name.to_uppercase().replace('-', "_"));
            if let Some(value) = host.env(&name) {
                let _ = flags.set(flag, &value.to_string_lossy());
            }
        }
        let mut rest = words;
        while let [word, after @ ..] = rest {
            let word = word.to_string_lossy();
            rest = match (word.strip_prefix("--"), word.strip_prefix('-')) {
                (Some(""), _) => break,
                (Some(name), _) => flags.long(name, after)?,
                (None, Some(word)) if !word.is_empty() => flags.letter(word, after)?,
                _ => after,
            };
        }
        Ok(flags)
    }

    fn long<'w>(&mut self, word: &str, after: &'w [OsString]) -> Result<&'w [OsString], Unread> {
        if word.starts_with(['-', '=']) {
            return Err(Unread::Wrong(format!("bad flag syntax: --{word}")));
        }
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let known = FLAGS.iter().chain([&DEPRECATED]).find(|flag| flag.name == name);
        let flag = known.ok_or_else(|| Unread::Wrong(format!("unknown flag: --{name}")))?;
        self.take(flag, value, after, || format!("--{name}"))
    }

    /// Reads a letter behind one dash: none of them is a switch, so the rest of the word is its value, or the next one.
    fn letter<'w>(&mut self, word: &str, after: &'w [OsString]) -> Result<&'w [OsString], Unread> {
        let letter = word.chars().next().unwrap_or_default();
        let Some(flag) = FLAGS.iter().find(|flag| flag.short == Some(letter)) else {
            return Err(match letter {
                'h' => Unread::Help,
                _ => Unread::Wrong(format!("unknown shorthand flag: {letter:?} in -{word}")),
            });
        };
        let value = match &word[letter.len_utf8()..] {
            "" => None,
            rest => Some(rest.strip_prefix('=').filter(|value| !value.is_empty()).unwrap_or(rest)),
        };
        self.take(flag, value, after, || format!("{letter:?} in -{word}"))
    }

    /// Takes a flag with its value, which may be the next word; what comes after is returned.
    fn take<'w>(
        &mut self,
        flag: &'static Flag,
        value: Option<&str>,
        after: &'w [OsString],
        shown: impl FnOnce() -> String,
    ) -> Result<&'w [OsString], Unread> {
        let (value, after) = match (value, flag.takes, after) {
            (Some(value), ..) => (value.to_owned(), after),
            (None, Takes::Switch { .. }, _) => ("true".to_owned(), after),
            (None, _, [next, after @ ..]) => (text(next), after),
            (None, _, []) => return Err(Unread::Wrong(format!("flag needs an argument: {}", shown()))),
        };
        self.set(flag, &value).map_err(|why| {
            Unread::Wrong(format!("invalid argument {value:?} for \"{}\" flag: {why}", flag.shown()))
        })?;
        Ok(after)
    }

    fn set(&mut self, flag: &'static Flag, value: &str) -> Result<(), String> {
        if let Some(complaint) = flag.complaint(value) {
            return Err(complaint);
        }
        let is_deprecated = flag.name == DEPRECATED.name;
        self.is_deprecated |= is_deprecated;
        let values = self.values.entry(if is_deprecated { "re-encrypt" } else { flag.name }).or_default();
        match flag.takes {
            Takes::List => values.extend(words(value)?),
            Takes::More => values.push(value.to_owned()),
            _ => *values = vec![value.to_owned()],
        }
        Ok(())
    }

    /// The value of a flag, or its default.
    pub fn text(&self, name: &str) -> &str {
        let default = || FLAGS.iter().find(|flag| flag.name == name).map_or("", |flag| flag.default);
        self.values.get(name).and_then(|values| values.last()).map_or_else(default, String::as_str)
    }

    /// The value of a flag, where it is neither empty nor left out.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    pub fn list(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn is_set(&self, name: &str) -> bool {
        truth(self.text(name)) == Some(true)
    }
}

/// The list of all flags, as kubeseal prints it.
pub fn list() -> String {
    let left = |flag: &Flag| {
        let short = flag.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let kind = Some(flag.kind()).filter(|kind| !kind.is_empty()).map(|kind| format!(" {kind}"));
        format!("  {short}--{}{}", flag.name, kind.unwrap_or_default())
    };
    let width = FLAGS.iter().map(|flag| left(flag).len()).max().unwrap_or_default() + 3;
    let mut text = String::new();
    for flag in FLAGS {
        let default = match (flag.default, flag.takes) {
            ("", _) => String::new(),
            // As texts these two are what they are; the others are what their type prints.
            (default, Takes::Text | Takes::Scope) => format!(" (default {default:?})"),
            (default, _) => format!(" (default {default})"),
        };
        let _ = writeln!(text, "{:width$}{}{default}", left(flag), flag.usage);
    }
    text
}

fn text(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

/// As Go's `strconv.ParseBool` reads it.
fn truth(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn is_severity(value: &str) -> bool {
    let is_name = ["INFO", "WARNING", "ERROR", "FATAL"].contains(&value.to_uppercase().as_str());
    is_name || value.parse::<i32>().is_ok()
}

/// Whether a text is of the form `file.go:234`, or `file=2,other=3`.
fn is_placed(value: &str) -> bool {
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    value.split(',').all(|part| part.rsplit_once([':', '=']).is_some_and(|(_, number)| is_number(number)))
}

/// The texts between the commas of a list, in quotes where one has a comma itself.
fn words(value: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let at =
                    quoted.find('"').filter(|at| matches!(quoted[at + 1..].chars().next(), None | Some(',')));
                let at = at.ok_or_else(|| {
                    let column = value.chars().count() + 1;
                    format!(
                        "parse error on line 1, column {column}: extraneous or missing \" in quoted-field"
                    )
                })?;
                (&quoted[..at], quoted[at + 1..].strip_prefix(','))
            }
            None => rest.split_once(',').map_or((rest, None), |(word, after)| (word, Some(after))),
        };
        found.push(word.to_owned());
        match after {
            Some("") => {
                found.push(String::new());
                break;
            }
            after => rest = after.unwrap_or_default(),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Closed;

    fn read(line: &[&str]) -> Result<Flags, Unread> {
        let words: Vec<OsString> = line.iter().map(OsString::from).collect();
        Flags::read(&words, &Closed)
    }

    #[test]
    fn words_are_read_as_pflag_reads_them() {
        let flags = read(&["-w=out.json", "-oyaml", "stray", "--raw=T", "-n", "-x", "--from-file", "a,b=c"]);
        let flags = flags.unwrap();
        assert_eq!(flags.text("sealed-secret-file"), "out.json");
        assert_eq!(flags.text("format"), "yaml");
        assert_eq!(flags.text("namespace"), "-x");
        assert_eq!(flags.list("from-file"), ["a", "b=c"]);
        assert!(flags.is_set("raw") && !flags.is_set("validate"));
        assert_eq!(flags.text("controller-namespace"), "kube-system");
        let flags =
            read(&["--from-file", "a", "--from-file=\"b,c\",d", "--allow-empty-data", "false"]).unwrap();
        assert_eq!(flags.list("from-file"), ["a", "b,c", "d"]);
        assert!(flags.is_set("allow-empty-data"));
        assert!(!read(&["--", "--raw"]).unwrap().is_set("raw"));
        let old = read(&["--rotate"]).unwrap();
        assert!(old.is_deprecated && old.is_set("re-encrypt"));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_pflag() {
        for (line, message) in [
            (&["--bogus"][..], "unknown flag: --bogus"),
            (&["-zx"], "unknown shorthand flag: 'z' in -zx"),
            (&["-cert", "x"], "unknown shorthand flag: 'c' in -cert"),
            (&["--cert"], "flag needs an argument: --cert"),
            (&["-o"], "flag needs an argument: 'o' in -o"),
            (&["--=x"], "bad flag syntax: --=x"),
            (
                &["--raw=x"],
                "invalid argument \"x\" for \"--raw\" flag: strconv.ParseBool: parsing \"x\": invalid syntax",
            ),
            (
                &["--scope", "x"],
                "invalid argument \"x\" for \"--scope\" flag: must be one of: strict, namespace-wide, cluster-wide",
            ),
            (
                &["-v", "x"],
                "invalid argument \"x\" for \"-v, --v\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (&["--logtostderr=x"], "invalid argument \"x\" for \"--logtostderr\" flag: parse error"),
        ] {
            assert_eq!(read(line).unwrap_err(), Unread::Wrong(message.to_owned()), "{line:?}");
        }
        assert_eq!(read(&["-h"]).unwrap_err(), Unread::Help);
    }
}
