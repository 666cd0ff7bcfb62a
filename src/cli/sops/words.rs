//! Reads the words of a command line as Go's flag package does, and spells them as clap wants them.
//!
//! One dash is as good as two, a switch may be told `=false`, the last of several flags of a name counts, and an
//! empty value counts as not given. Beyond that, flags may appear behind the file, too. Which flags there are is clap's business.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};

use crate::error::{Error, Kind, Result};
use crate::os;

/// Whether the values of a flag add up, as those of `--keyservice` and of the keys of `groups add`. Of any other flag the
/// last one counts.
fn adds_up(arg: &Arg, command: &Command) -> bool {
    let is_list = matches!(arg.get_action(), ArgAction::Append);
    is_list && (arg.get_id() == "keyservice" || command.get_name() == "add")
}

/// The same command line for clap: flags first, each with its value, then what is no flag. As in Go, a flag that has two
/// names may be given by one of them only.
pub fn spelled(words: &[OsString], sops: &Command) -> Result<Vec<OsString>> {
    let mut command = sops;
    let mut line = vec![OsString::from(sops.get_name())];
    let mut flags = Flags::default();
    let mut rest: Vec<OsString> = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            rest.extend(words.by_ref().cloned());
            continue;
        }
        let Some((name, value)) = flag(word) else {
            let verb = command.find_subcommand(word).filter(|_| rest.is_empty());
            match verb {
                Some(verb) => {
                    line.append(&mut flags.0.drain(..).map(|(_, word)| word).collect());
                    line.push(word.clone());
                    command = verb;
                }
                None => rest.push(word.clone()),
            }
            continue;
        };
        match command.get_arguments().find(|arg| is_named(arg, name)) {
            Some(arg) => {
                let is_next = value.is_none() && needs_value(arg);
                let value = if is_next { words.next().cloned() } else { value };
                flags.add(arg, name, value.as_deref(), adds_up(arg, command))?;
            }
            // Behind the file sops has no flags: it is an argument, such as a negative number.
            None if !rest.is_empty() => rest.push(word.clone()),
            // Several letters are one name, not several flags.
            None => flags.0.push((String::new(), format!("--{name}").into())),
        }
    }
    line.extend(flags.0.into_iter().map(|(_, word)| word));
    let is_help = command.get_name() == "help";
    if !rest.is_empty() && !is_help {
        line.push("--".into());
    }
    line.extend(rest);
    Ok(line)
}

/// Flags that were given, each with the word that clap understands.
#[derive(Default)]
struct Flags(Vec<(String, OsString)>, Vec<(String, String)>);

impl Flags {
    fn add(&mut self, arg: &Arg, name: &str, value: Option<&OsStr>, adds_up: bool) -> Result<()> {
        let id = arg.get_id().as_str();
        if let Some((_, other)) = self.1.iter().find(|(known, other)| known == id && other != name) {
            return Err(Error::new(Kind::Other, format!("-{other} and -{name} are the same flag"))
                .advise("Use one of its names."));
        }
        self.1.push((id.to_owned(), name.to_owned()));
        if !adds_up {
            self.0.retain(|(known, _)| known != id);
        }
        let dashes = if name.chars().count() == 1 { "-" } else { "--" };
        let mut word = OsString::from(format!("{dashes}{name}"));
        match value {
            Some(value) if is_switch(arg) => match value.as_encoded_bytes() {
                b"1" | b"t" | b"T" | b"true" | b"True" | b"TRUE" => {}
                b"0" | b"f" | b"F" | b"false" | b"False" | b"FALSE" => return Ok(()),
                _ => word.push(joined(value)),
            },
            Some(value) if value.is_empty() => return Ok(()),
            Some(value) => word.push(joined(value)),
            None => {}
        }
        self.0.push((id.to_owned(), word));
        Ok(())
    }
}

fn joined(value: &OsStr) -> OsString {
    let mut joined = OsString::from("=");
    joined.push(value);
    joined
}

/// The name of a flag, and the value that hangs on it.
fn flag(word: &OsStr) -> Option<(&str, Option<OsString>)> {
    let name = word.as_encoded_bytes().strip_prefix(b"-")?;
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let (name, value) = match name.iter().position(|byte| *byte == b'=') {
        Some(at) => (&name[..at], Some(os::name_of(&name[at + 1..]))),
        None => (name, None),
    };
    let name = std::str::from_utf8(name).ok()?;
    (!name.is_empty()).then_some((name, value))
}

fn is_named(arg: &Arg, name: &str) -> bool {
    let mut letters = name.chars();
    let is_letter =
        arg.get_short().is_some() && arg.get_short() == letters.next() && letters.next().is_none();
    arg.get_long() == Some(name) || is_letter
}

fn needs_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && arg.get_num_args().is_none_or(|count| count.min_values() > 0)
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Help | ArgAction::Version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sops::args;

    #[test]
    fn words_are_read_as_go_reads_them() {
        let sops = args::command();
        let cases = [
            ("-d f", "-d -- f"),
            ("-decrypt f", "--decrypt -- f"),
            ("--d f", "-d -- f"),
            ("f -d", "-d -- f"),
            ("-d=true -i=false f", "-d -- f"),
            ("-i -i=0 f", "-- f"),
            ("-i=maybe f", "-i=maybe -- f"),
            ("-input-type json --output-type=yaml f", "--input-type=json --output-type=yaml -- f"),
            ("--extract -d f", "--extract=-d -- f"),
            ("-a one -a two f", "-a=two -- f"),
            ("-di f", "--di -- f"),
            ("--keyservice a --keyservice b f", "--keyservice=a --keyservice=b -- f"),
            ("--output= f", "-- f"),
            ("groups add --age a -f x --age b -f y", "groups add --age=a --age=b -f=y"),
            ("groups --verbose delete 0 -f x", "groups --verbose delete -f=x -- 0"),
            ("--input-type", "--input-type"),
            ("--nonsense f", "--nonsense -- f"),
            ("f --nonsense -5", "-- f --nonsense -5"),
            ("--config c decrypt -i f", "--config=c decrypt -i -- f"),
            ("decrypt f --in-place", "decrypt --in-place -- f"),
            ("-- -d", "-- -d"),
            ("f decrypt", "-- f decrypt"),
            ("set f p -5", "set -- f p -5"),
            ("help decrypt", "help decrypt"),
            ("--enable-local-keyservice=false -d f", "--enable-local-keyservice=false -d -- f"),
            ("--enable-local-keyservice f", "--enable-local-keyservice -- f"),
            ("-", "-- -"),
        ];
        for (words, expected) in cases {
            let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            let line = spelled(&words, &sops).unwrap();
            let line: Vec<_> = line.iter().skip(1).map(|word| word.to_string_lossy()).collect();
            assert_eq!(line.join(" "), expected);
        }
        let twice = ["-a", "one", "--age", "two"].map(OsString::from);
        assert_eq!(spelled(&twice, &sops).unwrap_err().message(), "-a and -age are the same flag");
    }
}
