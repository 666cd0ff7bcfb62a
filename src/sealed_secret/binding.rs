//! What the values of a SealedSecret are bound to, so that none can be renamed, swapped, widened or carried elsewhere.

use std::fmt;

use super::types::{Scope, SealedSecret};
use crate::error::{Error, Kind, Result};

/// Stands at the beginning of all that is derived or authenticated.
pub(super) const CONTEXT: &str = "sealant.dev/SealedSecret/v1";

impl Scope {
    pub const ALL: [Self; 3] = [Self::Strict, Self::Namespace, Self::Cluster];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Namespace => "namespace",
            Self::Cluster => "cluster",
        }
    }

    /// The scope with this name; kubeseal's names are understood, too.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix("-wide").unwrap_or(name);
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The place that values are sealed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    scope: Scope,
    /// Empty where the scope does not go so far; so is the name.
    namespace: String,
    name: String,
}

impl Binding {
    /// The place of a SealedSecret of this scope, namespace and name; an error when one that counts is not known.
    pub fn new(scope: Scope, namespace: Option<&str>, name: &str) -> Result<Self> {
        let namespace = match (scope, namespace.unwrap_or_default()) {
            (Scope::Cluster, _) => "",
            (_, "") => {
                return Err(Error::new(
                    Kind::Other,
                    format!("the namespace is unknown, but the scope `{scope}` binds to it"),
                )
                .advise("Name it in metadata.namespace, or with --namespace."));
            }
            (_, namespace) => namespace,
        };
        let name = match (scope, name) {
            (Scope::Strict, "") => {
                let message = "the name is unknown, but the scope `strict` binds to it";
                return Err(Error::new(Kind::Other, message).advise("Name it in metadata.name."));
            }
            (Scope::Strict, name) => name,
            _ => "",
        };
        Ok(Self { scope, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// The place of a SealedSecret in a file.
    pub fn of(sealed: &SealedSecret) -> Result<Self> {
        let scope = sealed.spec.scope.unwrap_or_default();
        Self::new(scope, sealed.metadata.namespace.as_deref(), &sealed.metadata.name)
    }

    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The place and its scope in few words: `shop/db, strict`.
    pub fn place(&self) -> String {
        match self.scope {
            Scope::Strict => format!("{}/{}, strict", self.namespace, self.name),
            Scope::Namespace => format!("any name in {}, namespace", self.namespace),
            Scope::Cluster => "any namespace and name, cluster".to_owned(),
        }
    }

    /// What the value of `item` is authenticated along with: every part with its length before it, so that no two
    /// places give the same bytes.
    pub(super) fn associated_data(&self, item: &str) -> Vec<u8> {
        let mut data = Vec::new();
        for part in [CONTEXT, self.scope.name(), &self.namespace, &self.name, item] {
            data.extend((part.len() as u64).to_be_bytes());
            data.extend(part.as_bytes());
        }
        data
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Strict => write!(f, "namespace `{}`, name `{}`", self.namespace, self.name),
            Scope::Namespace => write!(f, "namespace `{}`, any name", self.namespace),
            Scope::Cluster => f.write_str("any namespace and name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_its_scope_counts() {
        let place = |scope, namespace, name| Binding::new(scope, namespace, name).map_err(|e| e.to_string());
        assert_ne!(place(Scope::Strict, Some("a"), "x"), place(Scope::Strict, Some("a"), "y"));
        assert_eq!(place(Scope::Namespace, Some("a"), "x"), place(Scope::Namespace, Some("a"), ""));
        assert_eq!(place(Scope::Cluster, Some("a"), "x"), place(Scope::Cluster, None, ""));
        for (scope, namespace, name) in
            [(Scope::Strict, None, "x"), (Scope::Strict, Some("a"), ""), (Scope::Namespace, Some(""), "x")]
        {
            let error = place(scope, namespace, name).unwrap_err();
            assert!(error.contains("is unknown"), "{error}");
        }
    }

    #[test]
    fn no_two_places_are_authenticated_alike() {
        let data = |scope, namespace, name, item| {
            Binding::new(scope, Some(namespace), name).unwrap().associated_data(item)
        };
        let all = [
            data(Scope::Strict, "ab", "c", "d"),
            data(Scope::Strict, "a", "bc", "d"),
            data(Scope::Strict, "ab", "cd", ""),
            data(Scope::Namespace, "ab", "c", "d"),
            data(Scope::Namespace, "abc", "", "d"),
            data(Scope::Cluster, "ab", "c", "d"),
            data(Scope::Cluster, "ab", "c", "e"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{one:?}");
        }
        let mut expected = b"\0\0\0\0\0\0\0\x1bsealant.dev/SealedSecret/v1".to_vec();
        expected.extend(b"\0\0\0\0\0\0\0\x07cluster\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01e");
        assert_eq!(all[6], expected);
    }

    #[test]
    fn scopes_have_the_names_of_kubeseal_too() {
        assert_eq!(Scope::from_name("cluster-wide"), Some(Scope::Cluster));
        assert_eq!(Scope::from_name("namespace"), Some(Scope::Namespace));
        assert_eq!(Scope::from_name("Strict"), None);
    }
}
