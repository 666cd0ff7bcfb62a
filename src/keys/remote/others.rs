//! Where keys are looked for beside this machine, in the order of sops: this machine first, then each service in turn.

use futures_util::stream::{self, StreamExt};

use super::{AT_ONCE, Remote};
use crate::error::{Error, Kind, Result};
use crate::keys::MasterKey;
use crate::keys::groups::Step;
use crate::keys::kind::Wrapped;
use crate::keys::kinds::{Opened, Slots};

/// The services that are asked.
#[derive(Debug)]
pub struct Others {
    /// Whether the keys of this machine are used.
    pub uses_local: bool,
    pub services: Vec<Remote>,
}

impl Default for Others {
    fn default() -> Self {
        Self { uses_local: true, services: Vec::new() }
    }
}

impl Others {
    /// Wraps what could not be wrapped here.
    pub(in crate::keys) async fn wrap(
        &self,
        tasks: &[(&MasterKey, &[u8])],
        slots: Slots<Result<Wrapped>>,
    ) -> Slots<Result<Wrapped>> {
        let one = async |((key, payload), mut slot): (&(&MasterKey, &[u8]), Option<Result<Wrapped>>)| {
            for service in &self.services {
                if matches!(slot, Some(Ok(_))) {
                    break;
                }
                match service.wrap(key, payload).await {
                    Ok(enc) => slot = Some(Ok(enc.into())),
                    Err(failure) if slot.is_none() => {
                        slot = Some(Err(Error::new(Kind::Other, failure.problem)))
                    }
                    Err(_) => {}
                }
            }
            slot
        };
        stream::iter(tasks.iter().zip(slots).map(one)).buffered(AT_ONCE).collect().await
    }

    /// Opens what could not be opened here.
    pub(in crate::keys) async fn open(&self, steps: &[&Step<'_>], slots: Slots<Opened>) -> Slots<Opened> {
        let one = async |(step, mut slot): (&&Step<'_>, Option<Opened>)| {
            let tries = step.keys.iter().enumerate();
            for (index, wrapped, service) in
                tries.flat_map(|(index, wrapped)| self.services.iter().map(move |one| (index, wrapped, one)))
            {
                if matches!(slot, Some(Ok(_))) {
                    break;
                }
                match service.unwrap(&wrapped.key, &wrapped.enc).await {
                    Ok(payload) => slot = Some(Ok((index, payload))),
                    Err(failure) => match &mut slot {
                        Some(Err(failures)) => failures.push(failure),
                        _ => slot = Some(Err(vec![failure])),
                    },
                }
            }
            slot
        };
        stream::iter(steps.iter().zip(slots).map(one)).buffered(AT_ONCE).collect().await
    }
}
