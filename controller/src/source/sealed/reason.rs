//! What is said of SealedSecrets, beside what is said of any Secret.

use crate::managed::reason::{
    ALREADY_EXISTS, API_SERVER_UNAVAILABLE, Again, CONFLICT, IMMUTABLE, REFUSED, Reason, Standing,
    TERMINATING, Words,
};

pub const UNSEALED: Reason = Reason { name: "Unsealed", standing: Standing::Good, again: Again::OnChange };
pub const SUSPENDED: Reason =
    Reason { name: "Suspended", standing: Standing::Suspended, again: Again::OnChange };
pub const BAD_CIPHERTEXT: Reason = Reason::stalled("BadCiphertext", Again::OnChange);
pub const NO_IDENTITY: Reason = Reason::stalled("NoIdentity", Again::ByServers);
pub const TEMPLATE_FORBIDDEN: Reason = Reason::stalled("TemplateForbidden", Again::OnChange);
pub const INVALID: Reason = Reason::stalled("Invalid", Again::OnChange);
pub const VAULT_UNAVAILABLE: Reason = Reason::waiting("VaultUnavailable");
pub const KMS_UNAVAILABLE: Reason = Reason::waiting("KmsUnavailable");

/// Opening takes its time, though no server is asked.
pub const BUSY: Reason = Reason::waiting("Busy");

/// Every reason, in the order of the pages in `docs/`.
pub const ALL: [Reason; 15] = [
    UNSEALED,
    SUSPENDED,
    BAD_CIPHERTEXT,
    NO_IDENTITY,
    ALREADY_EXISTS,
    IMMUTABLE,
    TEMPLATE_FORBIDDEN,
    INVALID,
    REFUSED,
    VAULT_UNAVAILABLE,
    KMS_UNAVAILABLE,
    API_SERVER_UNAVAILABLE,
    TERMINATING,
    CONFLICT,
    BUSY,
];

pub const WORDS: Words = Words {
    right: UNSEALED,
    own: &[],
    in_sync: "the Secret matches the SealedSecret",
    created: "made the Secret",
    updated: "brought the Secret up to date",
    recreated: "deleted the immutable Secret and made it again",
    repaired: "Repaired",
    had_changed: "the Secret had been changed; it matches the SealedSecret again",
    had_gone: "the Secret had been deleted; it was made again",
    is_foreign: "it was not made from this SealedSecret; annotate it with sealant.dev/adopt: \"true\" to have it taken over",
    is_immutable: "the Secret is immutable or would get another type; delete it, or annotate the \
                   SealedSecret with sealant.dev/on-immutable: Recreate",
    is_contested: "the SealedSecret, the Secret or its namespace is changing all the time",
};

pub const IS_SUSPENDED: &str = "nothing is written while the annotation sealant.dev/suspend is \"true\"";
pub const TAKES_LONG: &str = "the controller has a long queue, and has not reached this one yet";
pub const NO_ANSWER: &str = "the key service gave no answer";
pub const LOG_SAYS_MORE: &str = "the log of the controller says what went wrong";
pub const NOT_ALLOWED: &str =
    "the controller may not use a server or key that it names (--vault-allow, --kms-allow)";

/// A type of Secret that nobody has allowed.
pub fn forbidden_type(kind: &str) -> String {
    format!("a Secret of type {kind} is not made from a SealedSecret: whoever wrote it would get a token")
}

/// A label or an annotation that means something to whoever finds it.
pub fn forbidden_key(key: &str) -> String {
    format!("a template may not set {key}")
}

/// More keys that servers have than the controller tries.
pub fn too_many_keys_of_servers(most: usize) -> String {
    format!(
        "a data key, or a group of it, names more than {most} keys in Vault and in clouds, and the controller tries no more"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managed::reason::{SHARED, Standing};
    use crate::page::{column, column_of};

    #[test]
    fn what_can_come_of_any_secret_is_among_them() {
        assert!(SHARED.iter().all(|shared| ALL.contains(&WORDS.of(*shared))) && ALL.contains(&WORDS.right));
    }

    /// The operator's table: each reason, with the condition that it brings, and the type of its event.
    #[test]
    fn the_page_for_operators_has_every_reason() {
        const OPERATIONS: &str = include_str!("../../../../docs/operations.md");
        const HEADING: &str = "### Conditions, reasons and events";
        let column = |number| column_of(OPERATIONS, HEADING, number);
        let shown = |reason: Reason| match reason.standing {
            Standing::Good => ("Ready`, `Synced", "Normal"),
            Standing::Suspended => ("not `Synced`, the others as before", "Normal"),
            Standing::Waiting => ("Reconciling", "Warning"),
            Standing::Stalled => ("Stalled", "Warning"),
        };
        let expected = ALL.map(|reason| (reason.name, shown(reason)));
        let found = column(1).into_iter().zip(column(2).into_iter().zip(column(3)));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert!(column(4).iter().all(|cell| !cell.is_empty()));
        assert!(OPERATIONS.contains(&format!("the event `{}`", WORDS.repaired)));
    }

    #[test]
    fn the_page_has_every_reason_and_says_when_it_is_tried_again() {
        let said = |reason: Reason| match reason.standing {
            Standing::Good => "",
            _ => match reason.again {
                Again::OnChange => "on a change",
                Again::ByServers => "on a change; with keys in Vault or a cloud, by itself",
                Again::ByItself => "by itself",
            },
        };
        let found: Vec<_> = column("### Reasons", 1).into_iter().zip(column("### Reasons", 4)).collect();
        assert_eq!(found, ALL.map(|reason| (reason.name, said(reason))));
    }
}
