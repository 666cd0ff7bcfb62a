//! A verdict as status and as event.
//!
//! In kstatus form, so that `kubectl wait`, Argo CD and Flux understand it. Nothing in it changes as long as nothing
//! has happened, for each change is a write.

use jiff::Timestamp;

use crate::decide::{Verdict, Write};
use crate::reasons::{self, Reason, Standing};
use crate::resource::{Condition, Status};

/// What people are told about a SealedSecret.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    pub warning: bool,
    pub reason: &'static str,
    pub message: String,
}

/// The status after a verdict.
pub fn after(
    previous: &Status,
    verdict: &Verdict,
    generation: Option<i64>,
    secret_version: Option<String>,
    now: Timestamp,
) -> Status {
    let of = |name: &str, holds: bool, generation: Option<i64>| {
        let status = if holds { "True" } else { "False" };
        let since = previous.condition(name).filter(|known| known.status == status);
        Condition {
            name: name.to_owned(),
            status: status.to_owned(),
            observed_generation: generation,
            last_transition_time: since.map_or(now, |known| known.last_transition_time),
            reason: verdict.reason.name().to_owned(),
            message: verdict.message.clone(),
        }
    };
    let new = |name: &str, holds: bool| of(name, holds, generation);
    let conditions = match verdict.reason.standing() {
        Standing::Good => vec![new("Ready", true), new("Synced", true)],
        Standing::Waiting => vec![new("Ready", false), new("Reconciling", true), new("Synced", false)],
        Standing::Stalled => vec![new("Ready", false), new("Stalled", true), new("Synced", false)],
        Standing::Suspended => {
            // What was said of the Secret stays true; of the generation that it was said of.
            let synced = of("Synced", false, previous.observed_generation);
            let kept = previous.conditions.iter().filter(|known| known.name != "Synced").cloned();
            let conditions = kept.chain([synced]).collect();
            return Status { conditions, ..previous.clone() };
        }
    };
    let secret_resource_version = match verdict.reason {
        Reason::Unsealed => secret_version,
        _ => None,
    };
    Status { observed_generation: generation, conditions, secret_resource_version }
}

/// What is new, if anything is.
pub fn news(previous: &Status, verdict: &Verdict, generation: Option<i64>, written: &Write) -> Option<News> {
    let was_good = previous.is_true("Synced") && previous.observed_generation == generation;
    let (reason, message) = match (verdict.reason, written) {
        (Reason::Unsealed, Write::Update(_)) if was_good => (reasons::REPAIRED, reasons::HAD_CHANGED),
        (Reason::Unsealed, Write::Create) if was_good => (reasons::REPAIRED, reasons::HAD_GONE),
        (Reason::Unsealed, Write::Create) => (Reason::Unsealed.name(), reasons::CREATED),
        (Reason::Unsealed, Write::Update(_)) => (Reason::Unsealed.name(), reasons::UPDATED),
        (Reason::Unsealed, Write::Recreate) => (Reason::Unsealed.name(), reasons::RECREATED),
        (reason, Write::Nothing) | (reason, _) => (reason.name(), verdict.message.as_str()),
    };
    let known = previous.condition("Synced");
    let is_known =
        known.is_some_and(|known| known.reason == verdict.reason.name() && known.message == verdict.message);
    let wrote = verdict.reason == Reason::Unsealed && *written != Write::Nothing;
    let warning = matches!(verdict.reason.standing(), Standing::Waiting | Standing::Stalled);
    (wrote || !is_known).then(|| News { warning, reason, message: message.to_owned() })
}
