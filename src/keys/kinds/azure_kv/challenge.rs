//! What a vault says that wants a token: of which tenant, and for what.
//!
//! Owns that a token is asked for only for what the vault itself is part of (`challenge_policy.go` of Azure's client): a
//! host cannot ask for one that counts elsewhere.

use crate::keys::web::{Cause, Problem};

/// What a token is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Challenge {
    pub tenant: String,
    /// `https://vault.azure.net`.
    pub resource: String,
}

impl Challenge {
    /// What the header `WWW-Authenticate` of a vault at `host` says:
    /// `Bearer authorization="https://login.microsoftonline.com/TENANT", resource="https://vault.azure.net"`.
    pub fn parse(header: &str, host: &str) -> Result<Self, Problem> {
        let not_understood = || Problem::not_understood("Azure Key Vault");
        let field = |name: &str| {
            let fields = header.trim_start_matches("Bearer ").split([' ', ',']);
            let found = fields.filter_map(|field| field.split_once('=')).find(|(field, _)| *field == name);
            found.map(|(_, value)| value.trim_matches('"'))
        };
        let resource = field("scope").or_else(|| field("resource")).ok_or_else(not_understood)?;
        let resource = resource.trim_end_matches("/.default");
        let domain = resource.strip_prefix("https://").unwrap_or_default().trim_end_matches('/');
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let is_of_it =
            host.strip_suffix(&domain.to_ascii_lowercase()).is_some_and(|rest| rest.ends_with('.'));
        if domain.is_empty() || !is_of_it {
            let message = format!("{host} asks for a token for `{resource}`, which it does not belong to");
            return Err(Problem::new(Cause::Other, message).advise("Check the address of the vault."));
        }
        let tenant = field("authorization").and_then(|url| url.strip_prefix("https://")?.split('/').nth(1));
        let tenant = tenant.filter(|tenant| is_tenant(tenant)).ok_or_else(not_understood)?;
        Ok(Self { tenant: tenant.to_owned(), resource: resource.to_owned() })
    }
}

/// The ID of a tenant, or its domain.
pub(super) fn is_tenant(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "v.vault.azure.net";

    #[test]
    fn both_forms_of_a_challenge_are_read() {
        let said = Challenge { tenant: "t-1".to_owned(), resource: "https://vault.azure.net".to_owned() };
        for header in [
            r#"Bearer authorization="https://login.windows.net/t-1", resource="https://vault.azure.net""#,
            r#"Bearer authorization="https://login.microsoftonline.com/t-1" scope="https://vault.azure.net/.default""#,
        ] {
            assert_eq!(Challenge::parse(header, HOST).unwrap(), said);
        }
    }

    #[test]
    fn a_host_gets_no_token_for_another() {
        for (resource, tenant) in [
            ("https://management.azure.com", "t"),
            ("https://ult.azure.net", "t"),
            ("https://", "t"),
            ("https://v.vault.azure.net.evil.test", "t"),
            ("https://vault.azure.net", ""),
            ("https://vault.azure.net", "t?x"),
        ] {
            let header = format!(
                r#"Bearer authorization="https://login.windows.net/{tenant}", resource="{resource}""#
            );
            assert!(Challenge::parse(&header, HOST).is_err(), "{header}");
        }
    }
}
