//! Their status: one condition, `Synced`, without a reason.
//!
//! It has no place for the version of a Secret: after a start each object is read once, and nothing is written where all is
//! right.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::managed::decide::Verdict;
use crate::managed::reason::Standing;
use crate::managed::slim::Revision;
use crate::managed::status::{self, Finding};
use crate::source::bitnami::reason::FAILED;

const SYNCED: &str = "Synced";

/// What is said of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    pub conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub name: String,
    pub status: String,
    pub last_update_time: Option<Timestamp>,
    pub last_transition_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Status {
    fn synced(&self) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.name == SYNCED)
    }

    /// As metrics say it: 1 if it is synced, -1 if not, 0 if that is not known; `None` where nothing is said of that.
    pub fn synced_as_number(&self) -> Option<i64> {
        let synced = self.synced()?;
        Some(match &*synced.status {
            "True" => 1,
            "False" => -1,
            _ => 0,
        })
    }
}

impl status::Status for Status {
    fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    fn right_version(&self, _revision: Revision) -> Option<&str> {
        None
    }

    fn was_right(&self, revision: Revision) -> bool {
        self.synced().is_some_and(|synced| synced.status == "True")
            && self.observed_generation == revision.generation
    }

    fn says(&self, verdict: &Verdict) -> bool {
        self.synced().is_some_and(|synced| (&*synced.status, &*synced.message) == said(verdict))
    }

    fn after(&self, finding: Finding<'_>) -> Self {
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        after(self, finding, now)
    }

    fn is_but_for_version(&self, _other: &Self) -> bool {
        false
    }
}

/// Whether it is synced, and what is said of it.
fn said(verdict: &Verdict) -> (&'static str, &str) {
    match verdict.reason.standing {
        Standing::Good => ("True", ""),
        _ => ("False", verdict.message.strip_prefix(FAILED).unwrap_or(&verdict.message)),
    }
}

fn after(previous: &Status, finding: Finding<'_>, now: Timestamp) -> Status {
    let (status, message) = said(finding.verdict);
    let known = previous.synced();
    let is_said = known.is_some_and(|known| known.status == status && known.message == message);
    let generation = finding.revision.generation;
    if is_said && previous.observed_generation == generation {
        return previous.clone();
    }
    let since = known.filter(|known| known.status == status).and_then(|known| known.last_transition_time);
    let synced = Condition {
        name: SYNCED.to_owned(),
        status: status.to_owned(),
        last_update_time: Some(now),
        last_transition_time: since.or(Some(now)),
        reason: String::new(),
        message: message.to_owned(),
    };
    let others = previous.conditions.iter().filter(|condition| condition.name != SYNCED).cloned();
    Status { observed_generation: generation, conditions: others.chain([synced]).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::managed::status::Status as _;
    use crate::source::bitnami::reason::{ERR_UNSEAL, UNSEALED};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(previous: &Status, verdict: &Verdict, generation: i64, second: i64) -> Status {
        let revision = Revision { generation: Some(generation), annotations: 0 };
        after(previous, Finding { verdict, revision, secret_version: Some("7"), writer: 1 }, at(second))
    }

    #[test]
    fn a_status_of_their_controller_stays_as_it_is() {
        let theirs = json!({"observedGeneration": 1, "conditions": [{"type": "Synced", "status": "True",
            "lastUpdateTime": "2026-11-22T00:00:00Z", "lastTransitionTime": "2026-11-22T00:00:00Z"}]});
        let status: Status = serde_json::from_value(theirs.clone()).unwrap();
        let good = Verdict::new(UNSEALED, "");
        let after = told(&status, &good, 1, 10);
        assert!(after == status && status.says(&good));
        assert_eq!(serde_json::to_value(after).unwrap(), theirs);
    }

    #[test]
    fn times_are_those_of_changes() {
        let good = Verdict::new(UNSEALED, "");
        let bad = Verdict::new(ERR_UNSEAL, "Failed to unseal: no key could decrypt secret (a)");
        let shown = |status: &Status| -> Value {
            let synced = status.synced().unwrap();
            json!([synced.status, synced.message, synced.last_update_time, synced.last_transition_time])
        };
        let first = told(&Status::default(), &good, 1, 10);
        assert_eq!(shown(&first), json!(["True", "", at(10), at(10)]));
        let second = told(&first, &good, 2, 20);
        assert_eq!(shown(&second), json!(["True", "", at(20), at(10)]));
        let broken = told(&second, &bad, 3, 30);
        assert_eq!(shown(&broken), json!(["False", "no key could decrypt secret (a)", at(30), at(30)]));
        assert_eq!(told(&broken, &bad, 3, 40), broken);
    }
}
