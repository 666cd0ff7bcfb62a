//! The place that the values of a SealedSecret are bound to.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::claims::Pin;
use crate::sealed_secret::Scope;

/// Where a SealedSecret that is there has to belong.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "For SealedSecrets: refuse one that is for another place")]
pub struct PlaceArgs {
    /// Only if its scope is this: strict (namespace and name), namespace, or cluster
    #[arg(long, value_name = "SCOPE", value_parser = scopes(), hide_possible_values = true)]
    scope: Option<Scope>,

    /// Only if its namespace is this
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,

    /// Only if its name is this
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl PlaceArgs {
    /// The place that was asked for.
    pub fn pin(&self) -> Pin {
        Pin { scope: self.scope, namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

/// The scopes, and the names that kubeseal has for them.
pub fn scopes() -> impl TypedValueParser<Value = Scope> {
    let [strict, namespace, cluster] = Scope::ALL.map(|scope| PossibleValue::new(scope.name()));
    let names = [strict, namespace.alias("namespace-wide"), cluster.alias("cluster-wide")];
    PossibleValuesParser::new(names).try_map(|name| Scope::from_name(&name).ok_or("there is no such scope"))
}
