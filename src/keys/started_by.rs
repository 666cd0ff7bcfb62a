//! Who has started the command: it decides what may be done without a question where only a file or a rule asks for it.

/// Who has started the command, and so what happens where only a file or a rule names a server, a role or a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedBy {
    /// Somebody who typed it: is asked.
    Person,
    /// Somebody, or a program, that calls us `sops`: it is done, as sops does it.
    Sops,
    /// Another program, such as git or Argo CD: it is not done.
    Program,
    /// A cluster, for whoever may write objects there. A list of the operator's says which servers and keys are used, by the
    /// controller as itself; and since many wait for it, it waits less long than a person would.
    Controller,
}
