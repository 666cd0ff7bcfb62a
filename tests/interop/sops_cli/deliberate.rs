//! The differences that there are, each with its reason: those that we want, and those that are still to be mended.
//!
//! Exit codes and standard output are the same by intention. What is listed here of them is where sops crashes, writes
//! what it cannot read again, or has a command that we have not; or it is still to be mended.

use std::sync::LazyLock;

use regex::Regex;

use crate::sops_cli::outcome::Difference;
use crate::sops_cli::outcome::Kind::{
    self, Content, ContentForm, ExitCode, Message, Metadata, Mode, Names, Output, OutputForm, SaysLess,
    SaysMore, Selection,
};

/// A difference that is known.
pub struct Known {
    pub is_deliberate: bool,
    /// What is different, for the page.
    pub what: &'static str,
    /// Why it is, for the page.
    pub why: &'static str,
    kinds: Vec<Kind>,
    lines: Regex,
}

impl Known {
    fn new(is_deliberate: bool, kinds: &[Kind], lines: &str, what: &'static str, why: &'static str) -> Self {
        let lines = Regex::new(lines).expect("a regular expression");
        Self { is_deliberate, what, why, kinds: kinds.to_vec(), lines }
    }

    pub fn covers(&self, line: &str, difference: &Difference) -> bool {
        self.kinds.contains(&difference.kind()) && self.lines.is_match(line)
    }
}

/// All that can differ when one of them fails.
const ALL: &[Kind] = &[
    Content,
    ContentForm,
    ExitCode,
    Message,
    Metadata,
    Mode,
    Names,
    Output,
    OutputForm,
    SaysLess,
    SaysMore,
    Selection,
];

/// The first that fits counts.
pub static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let deliberate = |kinds, lines, what, why| Known::new(true, kinds, lines, what, why);
    let pending = |kinds, lines, what, why| Known::new(false, kinds, lines, what, why);
    vec![
        deliberate(
            &[OutputForm, ContentForm],
            r"commented\.yaml|--output-type yaml -i p\.ini|--indent 2|cd indented|p\.json.*&& sops -d|printf 'a: |--output-type yaml < e\.(json|txt)|--output-type json$",
            "Files keep their bytes: layout, quotes, and comments where they were",
            "sops writes the whole file again and moves comments to the line above. So `--indent` and `stores` of the config have no effect on existing files.",
        ),
        deliberate(
            ALL,
            r"--indent -5",
            "An `--indent` that is not a number of spaces is not an error",
            "`--indent` has no effect here.",
        ),
        deliberate(
            &[Output],
            r"printf '\{\}' > x\.yaml|--output-type yaml p$|x\.yaml p$|x\.yaml p\.json",
            "A YAML file in the style of JSON stays in that style",
            "Files keep their bytes. It is YAML, and sops reads it.",
        ),
        deliberate(
            &[Metadata, Selection, Output, OutputForm],
            r"printf '?.?a: (1\.10|!x|&x |2020)|12345678901234567890|1e21|sops -e -a \$ME commented|-i commented",
            "Two more metadata entries, `sealant_spelling` and `sealant_aliases`, encrypted like the rest",
            "They keep the author's spelling of `1.10` or `0o17`, and what was an alias. sops reads past them. A number in JSON has the type that its spelling says.",
        ),
        deliberate(
            &[Mode],
            r"(-d|decrypt) .*--output ",
            "A new file with plaintext (`decrypt --output`) is readable only by its owner",
            "It holds secrets. Its group and others get it from sops, as far as the umask allows.",
        ),
        deliberate(
            &[Selection],
            r"\bset\b",
            "`set` encrypts a whole number as an integer, and a value in dotenv and INI as text",
            "sops turns every number into a floating point number, and rounds those above 2^53. Decrypted, they read the same.",
        ),
        deliberate(
            &[Metadata],
            r"\.txt|p\.(yaml|json|env)$|\.env\.local$|p$|p\.(conf|YAML)$",
            "A file with one value (binary) has no `unencrypted_suffix`, also after `set`, `edit` and `rotate`",
            "All of it is encrypted. sops does not write it at first either, but adds it when it writes such a file again.",
        ),
        deliberate(
            &[Metadata],
            r"\$ME,\$ME|--add-age \$ME e|--add-age \$OTHER,\$ME",
            "A recipient that is named twice is in the file once",
            "The second copy of the data key helps nobody.",
        ),
        deliberate(
            &[Metadata],
            r"shamir|shares|eshares",
            "`updatekeys` takes the threshold of the creation rule, and one group has none",
            "sops leaves the old threshold in the file, whatever the rule says. A threshold of one group means nothing.",
        ),
        deliberate(
            &[SaysLess],
            r"exec-(env|file)",
            "`exec-env` and `exec-file` say nothing of their own when the command fails",
            "The exit code is the command's, and it has said what it had to say.",
        ),
        deliberate(
            &[SaysLess],
            r"--verbose|updatekeys|p\.txt$|\.sops\.yml|unset --idempotent",
            "Success is silent, also with `--verbose`",
            "sops logs what it is doing. For `updatekeys` Sealant prints the same on standard output.",
        ),
        deliberate(
            &[SaysMore],
            r"-d decrypt|-i --input-type json decrypt|--encrypted-comment-regex behind encrypt|--decryption-order age,age decrypt",
            "A flag that has no effect before a command gets a warning",
            "sops ignores it silently, so that a file is encrypted by another rule than the flag asks for.",
        ),
        deliberate(
            &[SaysMore],
            r#"rotate|-r |groups add|LD_PRELOAD|export A=1|shares\.yaml|A=1\\nA=2|"a": 1, "a": 2"#,
            "Warnings: about recipients that no rule names, a recipient to be removed that is not there, a broken MAC, variables that run code or are not what they look like, a key that appears twice, and a file that is weaker than its rule",
            "Each may be an attack or a mistake. The result is the same.",
        ),
        deliberate(
            &[Output],
            r"--nonsense|--input-type$|--extract$|=maybe|-di |-x |--set x|-a \$ME --age|threshold x|--indent x|exec-(env|file) --ignore-mac",
            "The help after a wrong flag goes to standard error",
            "Other programs may take standard output for a result.",
        ),
        deliberate(
            &[Output],
            r"updatekeys",
            "`updatekeys` shows what it will change in its own words",
            "They are for people.",
        ),
        deliberate(
            &[Output],
            r"cat \\\$0.* new\.",
            "The example that a new file starts with in the editor differs",
            "It shows what Sealant can do.",
        ),
        deliberate(
            &[Output],
            r"no-fifo e\.env 'basename",
            "The file of `exec-file --no-fifo` is called `tmp-file`",
            "sops appends a random number. Ours is in a folder of its own.",
        ),
        deliberate(
            &[ExitCode, Message],
            r#"\["hosts"\](\["[ab]"\]|\[-1\])|\["user"\]\["a"\]|(un)?set e\.yaml ''"#,
            "A path that leads into a value of another kind is an error (7, 91 or 1)",
            "There sops crashes with exit code 2 and a stack trace.",
        ),
        deliberate(
            &[ExitCode, Message, Output, SaysLess],
            r#"\["deep"\]\[0\]|'\[0\]'"#,
            "A position in a map is an error",
            "sops shows how it holds an entry in memory (`key: down`, `value: here`).",
        ),
        deliberate(
            &[ExitCode, Message, Metadata, Selection, Content],
            r#"(un)?set .*e\.txt"#,
            "A binary file stays a single text: `set` and `unset` of anything else are refused (7)",
            "After sops has done that, the file cannot be decrypted as a binary file.",
        ),
        deliberate(
            &[ExitCode, Message, Content, Selection],
            r#"set e\.env '\["A=B"\]'|set e\.ini '\["db"\]\["user"\]' '\{|set e\.yaml '\["sops"\]'"#,
            "`set` refuses a name or a value that the type of the file cannot hold (4)",
            "sops writes a file that contains something other than what was set.",
        ),
        deliberate(
            &[Content],
            r"set e\.(env|ini) .* '(-?5|null)'|set e\.ini .*'\{",
            "Numbers and null in dotenv and INI are set as they are spelled, and a new section goes to the end",
            "sops spells 5 as `5.0` and null as `<nil>`.",
        ),
        deliberate(
            &[Content],
            r"(-s|--show-master-keys) e\.|set ecommented",
            "With `-s`, edits are written; positions in lists do not count comments",
            "sops drops every change that is made under `-s`, and counts comments as items.",
        ),
        deliberate(
            &[ExitCode, Message, Output, SaysLess],
            r#"encrypted-regex '\[' p|encrypted_regex: "\[""#,
            "A broken regular expression is an error (5 or 1)",
            "sops then encrypts nothing, without a message.",
        ),
        deliberate(
            &[ExitCode, Message, Output, SaysLess, Content],
            r"bad\.json",
            "JSON that ends too early is an error (2)",
            "sops encrypts the part that is there.",
        ),
        deliberate(
            &[ExitCode, Message, Output, SaysLess, OutputForm],
            r"encrypt .*--mac-only-encrypted|encrypt --config|rotate --ignore-mac|--output-type json$|--idempotent '\[",
            "More flags are understood: after the file, and flags of one command by others",
            "sops ignores flags after the file, and refuses global flags after a command.",
        ),
        deliberate(
            &[Message],
            r"threshold -1 |updatekeys -y noversion|--user nosuchuser|--filename a/b",
            "A threshold of -1 is not a number of groups, broken metadata are reported before a missing rule, and a name with a folder is not a name",
            "The first problem is reported.",
        ),
        deliberate(
            ALL,
            r"groups (add -f e\.yaml -i( --age (nonsense|''))?$|add .*(transit nonsense|threshold [13]$)|delete .*(threshold 1 1|-i 5|e\.yaml -i 0)$)",
            "`groups` writes no file that nobody could open (1)",
            "sops writes groups without a key and thresholds above the number of groups, and crashes if there is no such group.",
        ),
        deliberate(
            &[Output, Message],
            r"sops groups( nonsense)?$|groups .*eother",
            "The help of `groups` differs, and `groups` says which keys could open a file",
            "They are for people.",
        ),
        deliberate(
            &[Message],
            r"vault_path: x.*publish|publish --enable-local",
            "`publish` says that a server cannot be reached, and why no key is used",
            "The first problem is reported.",
        ),
        pending(
            ALL,
            r"filestatus reserved",
            "`filestatus` of a file whose own `sops` key is not metadata",
            "sops fails on it; Sealant says that it is not encrypted. All commands will answer alike what a file is.",
        ),
        pending(
            ALL,
            r"--add-age \$OTHER --rm-age \$OTHER|nobody\.yaml|nowhere/new|completion",
            "Single exit codes: flags that contradict each other, unknown names, and output that cannot be written",
            "They will be as in sops.",
        ),
    ]
});
