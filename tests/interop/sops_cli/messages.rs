//! The kind of thing that a program says on standard error, whatever its words.

use std::sync::LazyLock;

use regex::Regex;

/// What is said. Most exit codes of sops say what went wrong; 1 and 2 stand for many things, which are told apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Nothing,
    /// Something, though nothing failed.
    Notice,
    /// What the exit code says.
    ByCode,
    /// A crash.
    Crash,
    /// The command line cannot be understood.
    Usage,
    /// The config cannot be read, or its rule cannot be used.
    Config,
    /// No creation rule is for the file.
    NoRule,
    /// Nobody is named who could decrypt.
    Nobody,
    /// A recipient that is none.
    Recipient,
    /// The file is not what its type says, not encrypted, or its metadata are broken.
    Content,
    /// There is no such value.
    Path,
    /// The values cannot be given to a program.
    Values,
    /// The file is not there, or cannot be read.
    File,
    Other,
}

/// What is said of a thing: by sops, then by us.
static WORDS: LazyLock<Vec<(Said, Regex)>> = LazyLock::new(|| {
    let words = [
        (Said::Crash, "^panic: ", "panicked at"),
        (
            Said::Usage,
            "flag provided but|flag needs an argument|invalid (boolean )?value|missing file to decrypt|same flag|cannot use both|(exactly one|no) positional",
            "unexpected argument|a value is required|invalid value|it takes a file|give the number|\
             cannot be combined|unrecognized",
        ),
        (Said::NoRule, "config: no matching creation rules found", "no matching creation rules found for"),
        (
            Said::Config,
            "unmarshal config file|cannot use more than one|config file not found$|compile regexp|[Tt]hreshold|for Shamir",
            r"can have only one of these|has to be a|unreadable/.sops.yaml|regular expression|_regex|is no config|no config|no .sops.yaml|threshold",
        ),
        (
            Said::Nobody,
            "no keys provided|empty key group",
            "no recipients are named|names no recipients|nobody would be left|has no keys",
        ),
        (Said::Recipient, "recipient|Vault URL", "recipient|is not the (URL|URI)|is no URI|transit key"),
        (
            Said::Content,
            "unmarshal|(?m:(^|: )yaml: )|dotenv input line|metadata not found|Version string|parsing time",
            "the top level of|broken YAML|twice|merge conflict|neither empty nor|not a section|a value is expected|metadata|not encrypted|binary file|too large",
        ),
        (Said::Path, "truncating tree|Key not found|out of bounds", "\\] not found|there is no"),
        (Said::Values, "in environment|Unsupported type", "environment variable|no place for"),
        (
            Said::File,
            "no such file|is a directory|on a directory|permission denied|no space left",
            "no such file|is a folder|cannot be|cannot listen",
        ),
    ];
    words.map(|(said, theirs, ours)| (said, Regex::new(&format!("{theirs}|{ours}")).expect("words"))).into()
});

impl Said {
    /// What a program has said that ended with this code.
    pub fn of(code: i32, stderr: &str) -> Self {
        let text = stderr.trim();
        match code {
            _ if text.is_empty() => Self::Nothing,
            0 => Self::Notice,
            1 | 2 => {
                WORDS.iter().find(|(_, words)| words.is_match(text)).map_or(Self::Other, |(said, _)| *said)
            }
            _ => Self::ByCode,
        }
    }
}
