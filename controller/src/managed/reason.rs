//! Every reason that a condition or an event can have, and what it means for what comes next.

/// What a reason means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The Secret is as it should be.
    Good,
    /// Something outside is not there, and the next try may succeed.
    Waiting,
    /// A person has to do something. It is tried again nevertheless, where something other than the SealedSecret or the
    /// identities could help.
    Stalled,
    /// Nothing is done, because somebody wants it so.
    Suspended,
}

/// Why a SealedSecret is in the state that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    Unsealed,
    Suspended,
    BadCiphertext,
    NoIdentity,
    AlreadyExists,
    Immutable,
    TemplateForbidden,
    Invalid,
    Refused,
    VaultUnavailable,
    ApiServerUnavailable,
    /// The Secret that is there is being deleted, and something holds it.
    Terminating,
    /// Somebody else writes at the same time, again and again.
    Conflict,
    /// Opening takes its time, though no server is asked.
    Busy,
}

impl Reason {
    pub const ALL: [Self; 14] = [
        Self::Unsealed,
        Self::Suspended,
        Self::BadCiphertext,
        Self::NoIdentity,
        Self::AlreadyExists,
        Self::Immutable,
        Self::TemplateForbidden,
        Self::Invalid,
        Self::Refused,
        Self::VaultUnavailable,
        Self::ApiServerUnavailable,
        Self::Terminating,
        Self::Conflict,
        Self::Busy,
    ];

    /// As it stands in conditions, events and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsealed => "Unsealed",
            Self::Suspended => "Suspended",
            Self::BadCiphertext => "BadCiphertext",
            Self::NoIdentity => "NoIdentity",
            Self::AlreadyExists => "AlreadyExists",
            Self::Immutable => "Immutable",
            Self::TemplateForbidden => "TemplateForbidden",
            Self::Invalid => "Invalid",
            Self::Refused => "Refused",
            Self::VaultUnavailable => "VaultUnavailable",
            Self::ApiServerUnavailable => "ApiServerUnavailable",
            Self::Terminating => "Terminating",
            Self::Conflict => "Conflict",
            Self::Busy => "Busy",
        }
    }

    pub fn standing(self) -> Standing {
        match self {
            Self::Unsealed => Standing::Good,
            Self::Suspended => Standing::Suspended,
            Self::VaultUnavailable
            | Self::ApiServerUnavailable
            | Self::Terminating
            | Self::Conflict
            | Self::Busy => Standing::Waiting,
            Self::BadCiphertext
            | Self::NoIdentity
            | Self::AlreadyExists
            | Self::Immutable
            | Self::TemplateForbidden
            | Self::Invalid
            | Self::Refused => Standing::Stalled,
        }
    }

    /// When it is tried again.
    pub fn again(self) -> Again {
        match self {
            Self::Unsealed
            | Self::Suspended
            | Self::BadCiphertext
            | Self::TemplateForbidden
            | Self::Invalid => Again::OnChange,
            Self::NoIdentity => Again::ByServers,
            Self::AlreadyExists
            | Self::Immutable
            | Self::Refused
            | Self::VaultUnavailable
            | Self::ApiServerUnavailable
            | Self::Terminating
            | Self::Conflict
            | Self::Busy => Again::ByItself,
        }
    }
}

/// When something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// When the SealedSecret or the identities change: nothing else can help.
    OnChange,
    /// So, and after a while where a server is named, which may have learnt something meanwhile.
    ByServers,
    ByItself,
}

/// Reason of the event about a Secret that somebody had changed or deleted.
pub const REPAIRED: &str = "Repaired";

pub const IN_SYNC: &str = "the Secret is as the SealedSecret says";
pub const SUSPENDED: &str = "nothing is written while the annotation sealant.dev/suspend is \"true\"";
pub const CREATED: &str = "made the Secret";
pub const UPDATED: &str = "brought the Secret up to date";
pub const RECREATED: &str = "deleted the immutable Secret and made it again";
pub const HAD_CHANGED: &str = "the Secret had been changed; it is as the SealedSecret says again";
pub const HAD_GONE: &str = "the Secret had been deleted; it was made again";
pub const IS_IDENTITY: &str = "it holds identities of the controller";
pub const IS_FOREIGN: &str = "it was not made from this SealedSecret; annotate it with sealant.dev/adopt: \"true\" to have it taken over";
pub const IS_IMMUTABLE: &str = "the Secret is immutable or would get another type; delete it, or annotate the \
                                SealedSecret with sealant.dev/on-immutable: Recreate";
pub const IS_GOING: &str = "the Secret is being deleted; it is made again when it is gone";
pub const IS_CONTESTED: &str = "the SealedSecret, the Secret or its namespace is changing all the time";
pub const CHANGED_AT_ONCE: &str =
    "the Secret is not as it was written: somebody changes it, a webhook perhaps";
pub const TAKES_LONG: &str = "the controller has much to open, and has not come to it";
pub const LOG_SAYS_MORE: &str = "what went wrong stands in the log of the controller";
pub const NOT_ALLOWED: &str = "a server that it names is not allowed to the controller";

/// A type of Secret that nobody has allowed.
pub fn forbidden_type(kind: &str) -> String {
    format!("a Secret of type {kind} is not made from a SealedSecret: whoever wrote it would get a token")
}

/// More transit keys than the controller tries.
pub fn too_many_transit_keys(most: usize) -> String {
    format!(
        "a data key, or a group of it, names more than {most} transit keys, and the controller tries no more"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{column, column_of};

    /// The operator's table: each reason, with the condition that it brings, and the type of its event.
    #[test]
    fn the_page_for_operators_has_every_reason() {
        const OPERATIONS: &str = include_str!("../../../docs/operations.md");
        const HEADING: &str = "### Conditions, reasons and events";
        let column = |number| column_of(OPERATIONS, HEADING, number);
        let shown = |reason: Reason| match reason.standing() {
            Standing::Good => ("Ready`, `Synced", "Normal"),
            Standing::Suspended => ("not `Synced`, the others as before", "Normal"),
            Standing::Waiting => ("Reconciling", "Warning"),
            Standing::Stalled => ("Stalled", "Warning"),
        };
        let expected = Reason::ALL.map(|reason| (reason.name(), shown(reason)));
        let found = column(1).into_iter().zip(column(2).into_iter().zip(column(3)));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert!(column(4).iter().all(|cell| !cell.is_empty()));
        assert!(OPERATIONS.contains(&format!("the event `{REPAIRED}`")));
    }

    #[test]
    fn the_page_has_every_reason_and_says_when_it_is_tried_again() {
        let said = |reason: Reason| match reason.standing() {
            Standing::Good => "",
            _ => match reason.again() {
                Again::OnChange => "on a change",
                Again::ByServers => "on a change; with keys in Vault, by itself",
                Again::ByItself => "by itself",
            },
        };
        let found: Vec<_> = column("### Reasons", 1).into_iter().zip(column("### Reasons", 4)).collect();
        assert_eq!(found, Reason::ALL.map(|reason| (reason.name(), said(reason))));
    }
}
