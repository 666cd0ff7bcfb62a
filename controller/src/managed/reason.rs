//! Why an object is in the state that it is in, what that means for what comes next, and in which words it is said.
//!
//! Here is what can be said of any Secret. What only one kind of object has to say, its source adds.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

/// What a reason means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The Secret is as it should be.
    Good,
    /// Something outside is not there, and the next try may succeed.
    Waiting,
    /// A person has to do something. It is tried again nevertheless, where something other than the object or the
    /// keys could help.
    Stalled,
    /// Nothing is done, because somebody wants it so.
    Suspended,
}

impl Standing {
    /// As metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Waiting => "waiting",
            Self::Stalled => "stalled",
            Self::Suspended => "suspended",
        }
    }
}

/// When something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Again {
    /// When the object or the keys change: nothing else can help.
    OnChange,
    /// So, and after a while where a server is named, which may have learnt something meanwhile.
    ByServers,
    ByItself,
}

/// Why an object is in the state that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason {
    /// As it appears in conditions, events and metrics.
    pub name: &'static str,
    pub standing: Standing,
    pub again: Again,
}

impl Reason {
    /// One after which a person has to do something.
    pub const fn stalled(name: &'static str, again: Again) -> Self {
        Self { name, standing: Standing::Stalled, again }
    }

    /// One that may go away by itself.
    pub const fn waiting(name: &'static str) -> Self {
        Self { name, standing: Standing::Waiting, again: Again::ByItself }
    }
}

/// There is a Secret of somebody else.
pub const ALREADY_EXISTS: Reason = Reason::stalled("AlreadyExists", Again::ByItself);

/// Kubernetes lets nothing change in the Secret that is there.
pub const IMMUTABLE: Reason = Reason::stalled("Immutable", Again::ByItself);

/// The API server refuses the Secret: a quota, a policy, a webhook, or missing rights. Or we do: it would hold keys, or we fail on it.
pub const REFUSED: Reason = Reason::stalled("Refused", Again::ByItself);

/// The API server fails at this object, again and again.
pub const API_SERVER_UNAVAILABLE: Reason = Reason::waiting("ApiServerUnavailable");

/// The Secret that is there is being deleted, and something holds it.
pub const TERMINATING: Reason = Reason::waiting("Terminating");

/// Somebody else writes at the same time, again and again.
pub const CONFLICT: Reason = Reason::waiting("Conflict");

/// What can come of any Secret.
#[cfg(test)]
pub const SHARED: [Reason; 6] =
    [ALREADY_EXISTS, IMMUTABLE, REFUSED, API_SERVER_UNAVAILABLE, TERMINATING, CONFLICT];

/// What is said of a Secret in the words of one kind of object.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// The reason of one that is as it should be.
    pub right: Reason,
    /// What of the reasons that any Secret has this kind calls otherwise: the first, and what it says in its place.
    pub own: &'static [(Reason, Reason)],
    pub in_sync: &'static str,
    pub created: &'static str,
    pub updated: &'static str,
    pub recreated: &'static str,
    /// The reason of the event about a Secret that somebody had changed or deleted.
    pub repaired: &'static str,
    pub had_changed: &'static str,
    pub had_gone: &'static str,
    pub is_foreign: &'static str,
    pub is_immutable: &'static str,
    pub is_contested: &'static str,
}

impl Words {
    /// A reason as this kind says it.
    pub fn of(&self, reason: Reason) -> Reason {
        self.own.iter().find(|(shared, _)| *shared == reason).map_or(reason, |(_, own)| *own)
    }
}

pub const PANICKED: &str = "the controller fails on it: this is a bug in the controller";
pub const IS_KEY: &str = "it holds keys of the controller";
/// Another kind of object adds to the same Secret.
pub fn has_room(kind: &str) -> String {
    format!("an object of {kind} of this name adds to it already")
}

/// The Secret belongs to an object that came after this one.
pub fn superseded(owner: &OwnerReference) -> String {
    let group = owner.api_version.split('/').next().unwrap_or_default();
    let kind = owner.kind.to_lowercase();
    format!("superseded by {kind}s.{group}/{}, which has taken over the Secret", owner.name)
}

pub const IS_GOING: &str = "the Secret is being deleted; it will be made again once it is gone";
pub const CHANGED_AT_ONCE: &str =
    "the Secret is not what was written: something changes it, perhaps a webhook";
