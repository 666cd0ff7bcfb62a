//! What we say about a command line that cannot be run, and how it ends.
//!
//! Owns that nothing is repeated which may be a secret: a word that nobody has asked for can be the value of `set` behind a
//! misspelt flag, or a password that was pasted into the wrong place, and CI keeps what is printed.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::commands::help;
use crate::cli::ui;
use crate::document::Format;
use crate::error::Kind;
use crate::keys::Recipient;
use crate::shown::typed;

/// What stands for a word that is not repeated.
const NOT_SHOWN: &str = "(not shown: it may be a secret)";

/// Prints the help or the version that was asked for, or what is wrong with the arguments.
pub fn tell(error: clap::Error, args: &[OsString], no_color: bool) {
    let is_never = |pair: &[OsString]| pair[0] == "--color" && pair[1] == "never";
    let no_color =
        no_color || args.windows(2).any(is_never) || args.iter().any(|word| word == "--color=never");
    ui::usage(&answered(without_words(error, takes_value(args)), args), no_color);
}

/// Whether any word of a command line may be a value that is to be encrypted, also one that looks like a flag: of `set`.
fn takes_value(args: &[OsString]) -> bool {
    args.iter().skip(1).any(|word| word == "set")
}

/// Flags of programs that we take the place of, before any command, and what does the same here. `FILE` is the file of the
/// command line.
const FLAGS_ALONE: &[(&[&str], &str)] = &[
    (
        &["-d", "--decrypt"],
        "that is sops's command line. Here: sealant decrypt FILE (or: sealant sops -d FILE)",
    ),
    (
        &["-e", "--encrypt"],
        "that is sops's command line. Here: sealant encrypt FILE (or: sealant sops -e FILE)",
    ),
    (
        &["-r", "--rotate"],
        "that is sops's command line. Here: sealant rotate FILE (or: sealant sops -r FILE)",
    ),
    (&["-i", "--in-place"], "it belongs after a command: sealant encrypt -i FILE"),
    (
        &["-s", "--show-master-keys"],
        "that is sops's command line. Here: sealant edit --show-master-keys FILE",
    ),
];

/// The same behind a command, which is `COMMAND`, and wherever they are.
const OTHER_FLAGS: &[(&[&str], &str)] = &[
    (
        &["--cert"],
        "name a recipient with --age: sealant seal --age \"$(sealant fetch-recipient)\" FILE (for the controller of \
         sealed-secrets: sealant kubeseal --cert CERT < FILE)",
    ),
    (&["--fetch-cert"], "to print the controller's recipient: sealant fetch-recipient"),
    (
        &["--controller-name", "--controller-namespace"],
        "no controller is asked: recipients come from the creation rule or --age, and those of a cluster from \
         `sealant fetch-recipient --controller-namespace NAMESPACE`",
    ),
    (&["--validate"], "to check a SealedSecret: sealant check FILE"),
    (
        &["--re-encrypt"],
        "to update recipients: `sealant updatekeys FILE`; for a new data key: `sealant rotate FILE`",
    ),
    (&["--recovery-unseal"], "to open a SealedSecret: sealant unseal FILE"),
    (
        &["-w", "--sealed-secret-file"],
        "name the output file with --output: sealant COMMAND --output OUT FILE",
    ),
    (&["-f", "--file", "--filename", "--secret-file"], "the file is an argument: sealant COMMAND FILE"),
    (&["-i", "--in-place"], "this command has no such flag: sealant COMMAND FILE"),
    (&["-n", "--namespace"], "a namespace is for SealedSecrets: sealant seal --namespace NAMESPACE FILE"),
];

/// Flags of kubeseal's before a file that is not the one to seal.
const OTHER_FILES: [&str; 3] = ["--cert", "-w", "--sealed-secret-file"];

/// Words of other programs, and what does the same here.
const OTHER_COMMANDS: &[(&[&str], &str)] = &[
    (&["import", "add"], "to encrypt a file in place: sealant encrypt -i FILE"),
    (&["create", "new"], "to make an encrypted file: sealant edit NEW"),
    (&["lock"], "to encrypt a file in place: sealant encrypt -i FILE"),
    (&["unlock"], "to decrypt a file in place: sealant decrypt -i FILE"),
    (&["open"], "to edit a file: sealant edit FILE"),
    (&["env"], "to run a command with a file's values as variables: sealant exec-env FILE printenv"),
    (
        &["log", "history"],
        "to show what was committed of a file, in plaintext after `sealant git install`: git log -p FILE",
    ),
    (
        &["commit", "push"],
        "that is for Git to do, and the hook of `sealant git install` looks at what you commit: git commit",
    ),
    (
        &["merge", "mergetool"],
        "to resolve a conflict: `sealant resolve FILE`; `sealant git install` makes Git merge encrypted files",
    ),
    (&["uninstall"], "to remove the hook and the drivers of this clone: sealant git install --uninstall"),
    (&["install"], "`sealant git install` sets up the hook and the drivers of this clone"),
    (&["login"], "`sealant vault login` logs in to Vault"),
    (&["restore", "undo"], "to get a file back as it was committed: git restore FILE"),
    (
        &["key", "generate-key", "generate", "genkey"],
        "`sealant keygen --default` makes an identity, `sealant keygen -y` prints your recipients",
    ),
    (
        &["reencrypt", "re-encrypt"],
        "to update recipients: `sealant updatekeys FILE`; for a new data key: `sealant rotate FILE`",
    ),
    (&["lint", "verify", "scan", "validate"], "to find secrets in plaintext: sealant check"),
    (
        &["keys", "recipients", "who", "user", "users"],
        "to list who can decrypt what: sealant who-can-decrypt",
    ),
    (&["config"], "to show a file's rule: sealant explain FILE"),
    (&["describe"], "to show what is in a file's metadata: sealant inspect FILE"),
    (
        &["apply"],
        "to create a Secret in the cluster from an encrypted manifest: sealant decrypt FILE | kubectl apply -f - (`kubectl \
         apply` takes a SealedSecret as it is)",
    ),
    (&["share", "invite", "grant", "allow", "adduser", "add-user"], TO_LET_IN),
    (
        &["revoke", "deny", "remove", "rm", "delete", "rmuser", "remove-user"],
        "to take somebody's access away: sealant recipient rm NAME. To take a value out of a file: sealant unset FILE \
         PATH. To remove a file: git rm FILE",
    ),
];

const TO_LET_IN: &str = "to let somebody decrypt: sealant recipient add NAME KEY (`sealant init` prints their KEY, on their machine)";

/// Flags by which programs are asked for JSON.
const FOR_JSON: [&str; 4] = ["--json", "--format", "-o", "--output"];

/// What is said of a word that looks like the name of a file, and is no command.
const NO_SUCH_FILE: &str = "there is no such file. To make it: sealant edit WORD";

/// Whether a word has an extension or a folder in it.
fn is_like_a_file(word: &str) -> bool {
    Path::new(word).extension().is_some() || word.contains('/')
}

/// The command that was typed, if it is one of ours.
fn command_of(args: &[OsString]) -> Option<&str> {
    let commands = help::command();
    let is_command = |word: &&str| commands.get_subcommands().any(|command| command.get_name() == *word);
    args.iter().skip(1).filter_map(|word| word.to_str()).find(is_command)
}

/// The error with what does what the words of another program mean.
fn answered(error: clap::Error, args: &[OsString]) -> clap::Error {
    let command = command_of(args);
    if let Some(answer) = by_form(&error, command, args) {
        return with_answer(error, answer);
    }
    let asked = match error.kind() {
        ErrorKind::UnknownArgument if command.is_none() => (ContextKind::InvalidArg, FLAGS_ALONE),
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, OTHER_FLAGS),
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, OTHER_COMMANDS),
        _ => return error,
    };
    let (place, table) = asked;
    let Some(ContextValue::String(word)) = error.get(place) else { return error };
    // What is asked of no command is often kubeseal's.
    let rest = if command.is_none() { OTHER_FLAGS } else { &[] };
    let mut answers = table.iter().chain(rest);
    let answer = answers.find(|(words, _)| words.contains(&word.as_str())).map(|(_, answer)| *answer);
    let Some(answer) = answer.or_else(|| is_like_a_file(word).then_some(NO_SUCH_FILE)) else { return error };
    let new = args.iter().skip_while(|arg| *arg != word.as_str()).skip(1).filter_map(|arg| arg.to_str());
    let new = new.filter(|arg| !arg.starts_with('-')).find(|arg| is_like_a_file(arg));
    let answer = answer
        .replace("WORD", &typed(Path::new(word)))
        .replace("NEW", &typed(Path::new(new.unwrap_or("secrets/app.yaml"))))
        .replace("COMMAND", command.unwrap_or("seal"));
    let is_in_place = command.is_none() && args.iter().any(|word| word == "-i" || word == "--in-place");
    let answer =
        if is_in_place { answer.replace(" FILE", " -i FILE").replace("-i -i", "-i") } else { answer };
    // A file that is there may be named: it is no value.
    let is_other = |before: &OsString| OTHER_FILES.iter().any(|flag| before == flag);
    let file = args
        .windows(2)
        .rfind(|pair| Path::new(&pair[1]).is_file() && !is_other(&pair[0]))
        .map(|pair| &pair[1]);
    let answer = file.map_or_else(|| answer.clone(), |file| answer.replace("FILE", &typed(Path::new(file))));
    with_answer(error, answer)
}

fn with_answer(mut error: clap::Error, answer: String) -> clap::Error {
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::SuggestedSubcommand);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(answer)]));
    error
}

/// What helps whatever the words are: an example where some are missing, quotes where a value has several.
fn by_form(error: &clap::Error, command: Option<&str>, args: &[OsString]) -> Option<String> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument if command == Some("keygen") => {
            Some("to write the identity into a file: sealant keygen --output key.txt".to_owned())
        }
        ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => {
            Some(format!("for example: {}", first_example(args)?))
        }
        // A key is no file to encrypt.
        ErrorKind::InvalidSubcommand
            if word(ContextKind::InvalidSubcommand) == Some("add")
                && args.iter().filter_map(|arg| arg.to_str()).any(|arg| arg.starts_with("age1") || arg.starts_with("ssh-")) =>
        {
            Some(TO_LET_IN.to_owned())
        }
        ErrorKind::InvalidSubcommand => {
            let file = Path::new(word(ContextKind::InvalidSubcommand)?);
            let (command, file) = (command.filter(|_| file.is_file())?, typed(file));
            let is_first =
                args.iter().skip(1).find_map(|arg| arg.to_str().filter(|arg| !arg.starts_with('-')));
            if is_first != Some(command) {
                return Some(format!("the command comes first: sealant {command} {file}"));
            }
            let example = first_example(args)?;
            Some(format!("`sealant {command}` takes a word before the file. For example: {example}"))
        }
        ErrorKind::UnknownArgument if command.is_none() && word(ContextKind::InvalidArg) == Some("-r") => {
            of_age(args)
        }
        ErrorKind::UnknownArgument
            if command.is_some() && word(ContextKind::InvalidArg).is_some_and(|flag| FOR_JSON.contains(&flag)) =>
        {
            json_flag(args).map(|flag| format!("for JSON: {flag}"))
        }
        ErrorKind::UnknownArgument
            if word(ContextKind::InvalidArg) == Some("-r")
                && args.windows(2).any(|pair| pair[0] == "-r" && Path::new(&pair[1]).is_dir()) =>
        {
            let folder = args.windows(2).find(|pair| pair[0] == "-r").map(|pair| typed(Path::new(&pair[1])))?;
            let output = if command == Some("decrypt") { " --output-dir DIR" } else { "" };
            Some(format!("all files of a folder are meant, without a flag: sealant {}{output} {folder}", command?))
        }
        ErrorKind::UnknownArgument
            if command != Some("updatekeys")
                && matches!(word(ContextKind::InvalidArg), Some("-r" | "--recipient"))
                && takes_recipients(args) =>
        {
            Some("name a recipient with --age".to_owned())
        }
        // The words may be a value that was meant for `set`.
        ErrorKind::UnknownArgument if command == Some("get") && word(ContextKind::InvalidArg).is_some_and(is_word) => {
            let file = args.iter().skip(2).map(Path::new).find(|word| word.is_file()).map(typed);
            let file = file.unwrap_or_else(|| "FILE".to_owned());
            Some(format!("a path is one word, with dots between its keys: sealant get {file} database.password"))
        }
        ErrorKind::UnknownArgument if command == Some("init") && word(ContextKind::InvalidArg).is_some_and(is_word) => {
            Some("your key gets the name that Git has for you, `user.name`. To give others a name: sealant recipient add NAME KEY".to_owned())
        }
        ErrorKind::UnknownArgument
            if command == Some("updatekeys")
                && matches!(word(ContextKind::InvalidArg), Some("-r" | "--recipient")) =>
        {
            let file = args.iter().skip(2).map(Path::new).find(|word| word.is_file()).map(typed);
            let file = file.unwrap_or_else(|| "FILE".to_owned());
            Some(format!(
                "to add a recipient that the creation rule names: sealant updatekeys --add KEY {file}"
            ))
        }
        ErrorKind::UnknownArgument
            if command == Some("set")
                && args
                    .windows(2)
                    .any(|pair| pair[0] == "set" && (pair[1] == "-i" || pair[1] == "--in-place")) =>
        {
            let file = args.iter().skip(2).map(Path::new).find(|word| word.is_file()).map(typed);
            let file = file.unwrap_or_else(|| "FILE".to_owned());
            Some(format!(
                "it changes the file in place, without a flag, and asks for the value: sealant set {file} PATH"
            ))
        }
        ErrorKind::UnknownArgument if command == Some("set") => {
            Some("put quotes around a value of several words: `sealant set FILE PATH 'VALUE'`".to_owned())
        }
        _ => None,
    }
}

/// A command line of age's, `-r RECIPIENT -o OUT FILE`, as ours; `None` where that is another's.
fn of_age(args: &[OsString]) -> Option<String> {
    let behind = |flag: &str| args.windows(2).find(|pair| pair[0] == flag).and_then(|pair| pair[1].to_str());
    // Only what is a recipient is no secret.
    let recipient: Recipient = behind("-r")?.parse().ok()?;
    let output = behind("-o").map(|file| format!(" --output {}", typed(Path::new(file)))).unwrap_or_default();
    let file =
        args.last().map(Path::new).filter(|file| file.is_file()).map_or_else(|| "FILE".to_owned(), typed);
    let recipient = typed(recipient.to_string().as_ref());
    Some(format!("that is age's command line. Here: sealant encrypt --age {recipient}{output} {file}"))
}

/// The command that was typed, after those that it is below: `sealant`, `recipient`, `list`.
fn typed_command<'c>(root: &'c clap::Command, args: &[OsString]) -> Vec<&'c clap::Command> {
    let words = args.iter().skip(1).filter_map(|word| word.to_str()).filter(|word| is_word(word));
    let mut commands = vec![root];
    for word in words {
        match commands.last().and_then(|command| command.find_subcommand(word)) {
            Some(below) => commands.push(below),
            None => break,
        }
    }
    commands
}

/// Whether a flag of the command that was typed names recipients.
fn takes_recipients(args: &[OsString]) -> bool {
    let root = help::command();
    let commands = typed_command(&root, args);
    commands.last().is_some_and(|command| command.get_arguments().any(|flag| flag.get_long() == Some("age")))
}

/// Whether it is no flag.
fn is_word(word: &str) -> bool {
    !word.starts_with('-')
}

/// The command that was typed with the flag by which it prints JSON, if it does.
fn json_flag(args: &[OsString]) -> Option<String> {
    let root = help::command();
    let commands = typed_command(&root, args);
    let command = commands.last()?;
    let names: Vec<&str> = commands.iter().map(|command| command.get_name()).collect();
    let flag = |name: &str| command.get_arguments().find(|flag| flag.get_long() == Some(name));
    let prints_json =
        |flag: &clap::Arg| flag.get_possible_values().iter().any(|value| value.get_name() == "json");
    let flag = match (flag("format"), flag("output-type")) {
        (Some(format), _) if prints_json(format) => "--format json",
        // Where the flag is hidden, it has no meaning.
        (_, Some(output)) if !output.is_hide_set() => "--output-type json",
        _ => return None,
    };
    Some(format!("{} {flag}", names.join(" ")))
}

/// The first example in the help of the command that was typed.
fn first_example(args: &[OsString]) -> Option<String> {
    let root = help::command();
    let examples = typed_command(&root, args).last()?.get_after_help()?.to_string();
    let line = examples.lines().map(str::trim).find(|line| line.starts_with("sealant "))?;
    let line = line.split("  #").next().unwrap_or(line).trim_end();
    (!line.ends_with('\\')).then(|| line.to_owned())
}

/// Takes the words out of a usage error that nobody has asked for. A flag that is not there is named, for then it is misspelt,
/// unless it may be the value.
fn without_words(mut error: clap::Error, takes_value: bool) -> clap::Error {
    let hidden = || ContextValue::String(NOT_SHOWN.to_owned());
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => flag(word).filter(|_| !takes_value).map(str::to_owned),
        _ => None,
    };
    if error.kind() == ErrorKind::UnknownArgument {
        error.insert(ContextKind::InvalidArg, flag.map_or_else(hidden, ContextValue::String));
        if takes_value || error.get(ContextKind::SuggestedArg).is_none() {
            error.remove(ContextKind::Suggested);
        }
    }
    // An empty one stands for a value that is missing, and the name of a type is no secret.
    let is_harmless = |text: &str| text.is_empty() || Format::from_name(text).is_some();
    let is_given = |value: &ContextValue| !matches!(value, ContextValue::String(text) if is_harmless(text));
    if error.get(ContextKind::InvalidValue).is_some_and(is_given) {
        error.insert(ContextKind::InvalidValue, hidden());
        error.remove(ContextKind::SuggestedValue);
    }
    error
}

/// The name of a flag that a word begins with.
fn flag(word: &str) -> Option<&str> {
    let name = word.split('=').next()?;
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (name.starts_with('-') && is_name(name)).then_some(name)
}

/// The exit code of a command line that makes no command; success where help or the version was asked for.
pub fn exit_code(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ => Kind::Usage.exit_code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_errors_have_a_code_of_their_own() {
        let code = |line: &str| {
            let error = help::command().try_get_matches_from(line.split(' ')).unwrap_err();
            exit_code(&error)
        };
        for line in ["sealant --help", "sealant --version", "sealant encrypt --help"] {
            assert_eq!(code(line), 0, "{line}");
        }
        for line in [
            "sealant",
            "sealant encrpt",
            "sealant encrypt --nonsense",
            "sealant encrypt --color pink a",
            "sealant encrypt --encrypted-regex a --encrypted-suffix b c",
            "sealant set a",
            "sealant set a b c d",
            "sealant explain",
        ] {
            assert_eq!(code(line), 64, "{line}");
        }
    }
}
