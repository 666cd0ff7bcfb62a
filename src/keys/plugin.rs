//! age plugins: running one, and letting it talk to the person through the [`Host`].
//!
//! Owns the bridge between age's callbacks and the host, and the rule that only one plugin runs at a time: they drive
//! hardware keys and ask people. The protocol itself is the age crate's.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ::age::secrecy::SecretString;

use crate::host::Host;

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
    work: impl FnOnce(Callbacks) -> T + Send,
) -> Result<T, &'static str> {
    if !host.may_run_plugins() {
        return Err("age plugins may not be started here");
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
        worker
            .join()
            .map_err(|_| "the age plugin's connection broke down")
    })
}

fn reply<T>(answer: &Sender<T>, given: crate::Result<T>) {
    if let Ok(given) = given {
        let _ = answer.send(given);
    }
}
