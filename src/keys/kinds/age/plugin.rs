//! age plugins: running one, and letting it talk to the person through the [`Host`].
//!
//! Owns the bridge between age's callbacks and the host, and the rule that only one plugin runs at a time: they drive
//! hardware keys and ask people. The protocol itself is the age crate's.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ::age::secrecy::SecretString;

use crate::host::Host;
use crate::programs;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What a plugin asks; each answer goes back through its own channel, and no answer means "not possible".
enum Question {
    Message(String),
    Confirm(String, Sender<bool>),
    Line(String, Sender<String>),
    Passphrase(String, Sender<SecretString>),
    Done,
}

/// Age's callbacks, which have to be `'static`, while a host is borrowed: so they send each question to the thread
/// that has the host.
#[derive(Clone)]
pub(super) struct Callbacks(Sender<Question>);

impl Callbacks {
    fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Question) -> Option<T> {
        let (answer, answered) = channel();
        self.0.send(question(answer)).ok()?;
        answered.recv().ok()
    }
}

impl ::age::Callbacks for Callbacks {
    fn display_message(&self, message: &str) {
        let _ = self.0.send(Question::Message(message.to_owned()));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let choice = no.map_or_else(|| format!("yes: {yes}"), |no| format!("yes: {yes}, no: {no}"));
        self.ask(|answer| Question::Confirm(format!("{message} ({choice})"), answer))
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.ask(|answer| Question::Line(description.to_owned(), answer))
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.ask(|answer| Question::Passphrase(description.to_owned(), answer))
    }
}

/// Does `work`, which runs a plugin, and answers the plugin's questions through `host` meanwhile. An error when the
/// host lets no plugin run.
pub(super) fn run<T: Send>(
    host: &dyn Host,
    name: &str,
    work: impl FnOnce(Callbacks) -> T + Send,
) -> Result<T, &'static str> {
    if !host.may_run_plugins() {
        return Err("age plugins may not be started here");
    }
    // The age crate takes the first one that it finds.
    let path = host.env("PATH");
    if programs::is_relative(path.as_deref(), Path::new(&format!("age-plugin-{name}"))) {
        return Err(programs::IS_RELATIVE);
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (sender, questions) = channel();
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let result = work(Callbacks(sender.clone()));
            // The age crate keeps a clone of the callbacks for a moment longer: don't wait for it.
            let _ = sender.send(Question::Done);
            result
        });
        for question in questions {
            match question {
                Question::Message(message) => host.note(&message),
                Question::Confirm(message, answer) => reply(&answer, host.confirm(&message)),
                Question::Line(message, answer) => reply(&answer, host.ask_line(&message)),
                Question::Passphrase(message, answer) => {
                    let passphrase = host.ask_passphrase(&message);
                    reply(&answer, passphrase.map(|text| SecretString::from(text.as_str())));
                }
                Question::Done => break,
            }
        }
        worker.join().map_err(|_| "the connection to the age plugin broke")
    })
}

fn reply<T>(answer: &Sender<T>, given: crate::Result<T>) {
    if let Ok(given) = given {
        let _ = answer.send(given);
    }
}

#[cfg(test)]
mod tests {
    use ::age::Callbacks as _;
    use ::age::secrecy::ExposeSecret;

    use super::*;
    use crate::keys::fake_host::FakeHost;

    #[test]
    fn a_plugin_talks_to_the_person_through_the_host() {
        let host = FakeHost::default().with_plugins().passphrase("1234");
        let answers = run(&host, "fake", |callbacks| {
            callbacks.display_message("touch the key");
            let agreed = callbacks.confirm("Use it?", "go", Some("stop"));
            let line = callbacks.request_public_string("Slot");
            let pin = callbacks.request_passphrase("PIN").map(|pin| pin.expose_secret().to_owned());
            (agreed, line, pin)
        });
        assert_eq!(answers, Ok((Some(true), Some(String::new()), Some("1234".to_owned()))));
        let calls = ["note touch the key", "confirm Use it? (yes: go, no: stop)", "ask Slot", "ask PIN"];
        assert_eq!(host.calls(), calls);
    }

    #[test]
    fn a_host_that_refuses_an_answer_leaves_the_plugin_without_one() {
        let host = FakeHost::default().with_plugins();
        let pin = run(&host, "fake", |callbacks| callbacks.request_passphrase("PIN").is_none());
        assert_eq!(pin, Ok(true));
    }

    #[test]
    fn no_plugin_runs_where_the_host_forbids_it() {
        let refused: Result<(), _> = run(&FakeHost::default(), "fake", |_| unreachable!());
        assert_eq!(refused, Err("age plugins may not be started here"));
    }
}
