//! Where SealedSecrets belong: what a rule's `sealant:` key says of it, and where a file says otherwise.

use std::fmt;

use crate::config::{PinSpec, Policy};
use crate::error::{Error, Kind, Result};
use crate::hints::nearest;
use crate::sealed_secret::{Scope, SealedSecret};

/// The place to which a rule pins SealedSecrets. What is `None` may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pin {
    pub scope: Option<Scope>,
    pub namespace: Option<String>,
    pub name: Option<String>,
}

/// What a SealedSecret says of its place and is asked to be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceDifference {
    Scope { file: Scope, asked: Scope },
    Namespace { file: Option<String>, asked: String },
    Name { file: String, asked: String },
}

impl Pin {
    /// The place that a rule pins; `None` when it pins none. An error for a scope that there is not.
    pub fn of(policy: &Policy) -> Result<Option<Self>> {
        let Some(PinSpec { line, scope, namespace, name }) = policy.pin.clone() else { return Ok(None) };
        let scope = scope.map(|scope| named(&scope)).transpose();
        let scope = scope.map_err(|error| error.in_file(&policy.rule.file).on_line(line))?;
        Ok(Some(Self { scope, namespace, name }))
    }

    /// This place, and where it says nothing what another one says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            scope: self.scope.or(other.scope),
            namespace: self.namespace.or(other.namespace),
            name: self.name.or(other.name),
        }
    }

    /// Whether it says in which namespace a SealedSecret is opened, or that it may be any, and that one belongs there.
    pub fn names_place_of(&self, sealed: &SealedSecret) -> bool {
        let is_named = self.scope == Some(Scope::Cluster) || self.namespace.is_some();
        is_named && !self.differences(sealed).iter().any(PlaceDifference::is_weaker)
    }

    /// Where a SealedSecret says that it belongs elsewhere.
    pub fn differences(&self, sealed: &SealedSecret) -> Vec<PlaceDifference> {
        let mut found = Vec::new();
        let scope = sealed.spec.scope.unwrap_or_default();
        if let Some(asked) = self.asked_scope(scope) {
            found.push(PlaceDifference::Scope { file: scope, asked });
        }
        // What is sealed for any place may leave out for which one it is.
        let (namespace, name) = (&sealed.metadata.namespace, &sealed.metadata.name);
        let may_miss = scope == Scope::Cluster && namespace.is_none();
        if let Some(asked) =
            self.namespace.as_ref().filter(|asked| !may_miss && namespace.as_ref() != Some(*asked))
        {
            found.push(PlaceDifference::Namespace { file: namespace.clone(), asked: asked.clone() });
        }
        if let Some(asked) = self.name.as_ref().filter(|asked| *asked != name) {
            found.push(PlaceDifference::Name { file: name.clone(), asked: asked.clone() });
        }
        found
    }

    /// The scope that is asked for instead of `found`: the pinned one, else the widest that still binds to what is pinned.
    fn asked_scope(&self, found: Scope) -> Option<Scope> {
        let bound = match (&self.name, &self.namespace) {
            (Some(_), _) => Some(Scope::Strict),
            (None, Some(_)) => Some(Scope::Namespace),
            (None, None) => None,
        };
        match self.scope {
            Some(asked) => Some(asked).filter(|asked| *asked != found),
            None => bound.filter(|bound| width(found) > width(*bound)),
        }
    }
}

impl PlaceDifference {
    /// Whether values that are sealed there can be opened where they should not be; a narrower scope takes nothing away.
    pub fn is_weaker(&self) -> bool {
        match self {
            Self::Scope { file, asked } => width(*file) > width(*asked),
            Self::Namespace { .. } | Self::Name { .. } => true,
        }
    }
}

impl fmt::Display for PlaceDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope { file, asked } => write!(f, "scope `{file}` instead of `{asked}`"),
            Self::Namespace { file: Some(file), asked } => {
                write!(f, "namespace `{file}` instead of `{asked}`")
            }
            Self::Namespace { file: None, asked } => write!(f, "no namespace instead of `{asked}`"),
            Self::Name { file, asked } => write!(f, "name `{file}` instead of `{asked}`"),
        }
    }
}

/// How many places a scope lets values be opened in, to compare.
fn width(scope: Scope) -> usize {
    Scope::ALL.iter().position(|known| *known == scope).unwrap_or_default()
}

fn named(scope: &str) -> Result<Scope> {
    Scope::from_name(scope).ok_or_else(|| {
        let names = Scope::ALL.map(Scope::name);
        let advice = match nearest(scope, names) {
            Some(name) => format!("Did you mean `{name}`?"),
            None => format!("The scopes are {}.", names.join(", ")),
        };
        Error::new(Kind::Config, format!("there is no scope `{scope}`")).advise(advice)
    })
}
