//! What is said of SealedSecrets of `bitnami.com`: the reasons that their own controller has, where it has one.

use sealant::bitnami::NotOpened;
use sealant::template::NotRendered;

use crate::managed::decide::Verdict;
use crate::managed::reason::{
    ALREADY_EXISTS, API_SERVER_UNAVAILABLE, Again, CONFLICT, IMMUTABLE, REFUSED, Reason, Standing,
    TERMINATING, Words,
};

pub const UNSEALED: Reason = Reason { name: "Unsealed", standing: Standing::Good, again: Again::OnChange };
pub const ERR_UNSEAL: Reason = Reason::stalled("ErrUnsealFailed", Again::OnChange);
pub const ERR_UPDATE: Reason = Reason::stalled("ErrUpdateFailed", Again::ByItself);

/// Opening takes its time.
pub const BUSY: Reason = Reason::waiting("Busy");

pub const ALL: [Reason; 7] =
    [UNSEALED, ERR_UNSEAL, ERR_UPDATE, API_SERVER_UNAVAILABLE, TERMINATING, CONFLICT, BUSY];

pub const WORDS: Words = Words {
    right: UNSEALED,
    own: &[(ALREADY_EXISTS, ERR_UPDATE), (IMMUTABLE, ERR_UPDATE), (REFUSED, ERR_UPDATE)],
    in_sync: "",
    created: UNSEALED_WELL,
    updated: UNSEALED_WELL,
    recreated: UNSEALED_WELL,
    repaired: "Unsealed",
    had_changed: "the Secret had been changed; it matches the SealedSecret again",
    had_gone: "the Secret had been deleted; it was made again",
    is_foreign: "it is not managed by its SealedSecret; annotate it with sealedsecrets.bitnami.com/managed: \"true\" to have \
                 it replaced, or with sealedsecrets.bitnami.com/patch: \"true\" to have it added to",
    is_immutable: "the target Secret is immutable, or would get another type; delete it to have it made again",
    is_contested: "the SealedSecret, the Secret or its namespace is changing all the time",
};

const UNSEALED_WELL: &str = "SealedSecret unsealed successfully";

/// How the events of their controller begin, and not its statuses.
pub const FAILED: &str = "Failed to unseal: ";

pub const BLOB_AND_ITEMS: &str =
    "cannot use the field 'encryptedData' and the deprecated field 'data' at the same time";
pub const BLOB: &str =
    "the deprecated field 'data' is not read: seal the Secret again, which writes 'encryptedData'";
pub const TAKES_LONG: &str = "the controller has a long queue, and has not reached this one yet";

/// Why it does not open, in their words: those name items, and never a value.
pub fn not_opened(why: &NotOpened) -> Verdict {
    Verdict::new(ERR_UNSEAL, format!("{FAILED}{why}"))
}

/// What is wrong with its templates: in words of ours, for those of Go say the value that a function fails with, and whoever
/// reads a status may not read Secrets.
pub fn not_rendered(why: &NotRendered) -> Verdict {
    Verdict::new(ERR_UNSEAL, format!("{FAILED}{why}"))
}

/// What is refused before anything is opened.
pub fn refused(why: &str) -> Verdict {
    Verdict::new(ERR_UNSEAL, format!("{FAILED}{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managed::reason::SHARED;

    #[test]
    fn what_can_come_of_any_secret_is_among_them() {
        assert!(SHARED.iter().all(|shared| ALL.contains(&WORDS.of(*shared))) && ALL.contains(&WORDS.right));
    }
}
