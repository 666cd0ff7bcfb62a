//! Who shall be able to decrypt, and with what to decrypt.

use std::path::PathBuf;

use clap::Args;

use crate::config::KeySpec;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::{Identities, KeyKind, KeyService, KeySet};
use crate::policy;

/// The master keys to encrypt for.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Who can decrypt (by default whom the creation rule names)")]
pub struct KeyArgs {
    /// age and SSH recipients [env: SOPS_AGE_RECIPIENTS]
    #[arg(short, long, value_name = "RECIPIENT,...")]
    pub age: Vec<String>,

    /// Vault or OpenBao transit keys, https://HOST/v1/ENGINE/keys/NAME [env: SOPS_VAULT_URIS]
    #[arg(long, value_name = "URI,...")]
    pub hc_vault_transit: Vec<String>,

    /// PGP fingerprints [env: SOPS_PGP_FP]
    #[arg(short, long, value_name = "FINGERPRINT,...", hide_short_help = true)]
    pub pgp: Vec<String>,

    /// AWS KMS keys [env: SOPS_KMS_ARN]
    #[arg(short, long, value_name = "ARN,...", hide_short_help = true)]
    pub kms: Vec<String>,

    /// Google Cloud KMS keys [env: SOPS_GCP_KMS_IDS]
    #[arg(long, value_name = "ID,...", hide_short_help = true)]
    pub gcp_kms: Vec<String>,

    /// Azure Key Vault keys [env: SOPS_AZURE_KEYVAULT_URLS]
    #[arg(long, value_name = "URL,...", hide_short_help = true)]
    pub azure_kv: Vec<String>,

    /// Huawei Cloud KMS keys [env: SOPS_HUAWEICLOUD_KMS_IDS]
    #[arg(long, value_name = "ID,...", hide_short_help = true)]
    pub hckms: Vec<String>,
}

impl KeyArgs {
    /// The master keys that flags and environment name: one group, as in sops. `None` when they name none, and the
    /// creation rule counts.
    pub fn key_set(&self, host: &dyn Host) -> Result<Option<KeySet>> {
        type Spec = fn(String) -> Result<KeySpec>;
        let sources: [(&[String], &str, &str, Spec); 7] = [
            (&self.age, "--age", "SOPS_AGE_RECIPIENTS", |key| Ok(KeySpec::Age(key))),
            (&self.hc_vault_transit, "--hc-vault-transit", "SOPS_VAULT_URIS", |key| {
                Ok(KeySpec::HcVault(key))
            }),
            (&self.pgp, "--pgp", "SOPS_PGP_FP", |key| Ok(KeySpec::Pgp(key))),
            (&self.kms, "--kms", "SOPS_KMS_ARN", |key| Ok(kms(&key))),
            (&self.gcp_kms, "--gcp-kms", "SOPS_GCP_KMS_IDS", |key| Ok(KeySpec::GcpKms(key))),
            (&self.azure_kv, "--azure-kv", "SOPS_AZURE_KEYVAULT_URLS", |key| azure_kv(&key)),
            (&self.hckms, "--hckms", "SOPS_HUAWEICLOUD_KMS_IDS", |key| Ok(KeySpec::Hckms(key))),
        ];
        let mut keys = Vec::new();
        for (flags, flag, variable, spec) in sources {
            let (names, from) = match flags {
                [] => (host.env_text(variable)?.into_iter().collect(), variable),
                flags => (flags.to_vec(), flag),
            };
            for name in split(&names) {
                let key = spec(name.to_owned()).and_then(|spec| policy::master_key(&spec));
                let key = key.map_err(|error| error.in_file(from))?;
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        Ok((!keys.is_empty()).then(|| KeySet::any_of(keys)))
    }
}

/// The names in values that hold several with commas between them.
fn split(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

fn kms(key: &str) -> KeySpec {
    let (arn, role) = match key.split_once('+') {
        Some((arn, role)) => (arn, Some(role.to_owned())),
        None => (key, None),
    };
    KeySpec::Kms { arn: arn.to_owned(), role, context: Default::default(), aws_profile: None }
}

fn azure_kv(url: &str) -> Result<KeySpec> {
    let parts =
        url.split_once("/keys/").map(|(vault, key)| (vault, key.split_once('/').unwrap_or((key, ""))));
    let Some((vault_url, (name, version))) = parts else {
        return Err(Error::new(Kind::Other, format!("`{url}` is not the URL of a key"))
            .advise("It has the form https://VAULT.vault.azure.net/keys/NAME/VERSION."));
    };
    Ok(KeySpec::AzureKv {
        vault_url: vault_url.to_owned(),
        name: name.to_owned(),
        version: (!version.is_empty()).then(|| version.to_owned()),
    })
}

/// The identities to decrypt with.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What to decrypt with")]
pub struct IdentityArgs {
    /// Try the age identities or the SSH key in this file before those that sops would find; may be repeated
    #[arg(long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,

    /// The order in which kinds of keys are tried, `age,hc_vault` for instance [env: SOPS_DECRYPTION_ORDER]
    #[arg(long, value_name = "KIND,...")]
    pub decryption_order: Option<String>,
}

impl IdentityArgs {
    /// The sources of identities: files that were named, then the places into which sops looks.
    pub fn identities(&self, host: &dyn Host) -> Result<Identities> {
        // The library takes a missing file as one source of many that gave nothing; here somebody named it.
        if let Some(missing) = self.identity.iter().find(|file| !file.exists()) {
            return Err(Error::new(Kind::NoFile, "no such file")
                .in_file(missing)
                .advise("Correct the path that was given with --identity."));
        }
        let named = self.identity.iter().fold(Identities::none(), |found, file| found.with_file(file));
        Ok(named.with_user_sources(host))
    }

    /// The service that opens data keys with these identities.
    pub fn key_service<'h>(&self, host: &'h dyn Host) -> Result<KeyService<'h>> {
        let service = KeyService::new(host, self.identities(host)?);
        let order = match &self.decryption_order {
            Some(order) => Some(order.clone()),
            None => host.env_text("SOPS_DECRYPTION_ORDER")?,
        };
        Ok(match order {
            Some(order) => service.with_decryption_order(KeyKind::parse_order(&order)?),
            None => service,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Closed;

    const ONE: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";
    const TWO: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";

    #[test]
    fn flags_name_one_group_without_repetition() {
        let args = KeyArgs {
            age: vec![format!("{ONE}, {TWO},"), ONE.to_owned()],
            pgp: vec!["85D7 7543".to_owned()],
            kms: vec!["arn:aws:kms:k+arn:aws:iam::role".to_owned()],
            azure_kv: vec!["https://v.vault.azure.net/keys/k/1".to_owned()],
            ..KeyArgs::default()
        };
        let keys = args.key_set(&Closed).unwrap().unwrap();
        let names: Vec<_> = keys.groups.concat().iter().map(ToString::to_string).collect();
        let expected = [
            ONE,
            TWO,
            "pgp 85D77543",
            "kms arn:aws:kms:k+arn:aws:iam::role",
            "azure_kv https://v.vault.azure.net/keys/k/1",
        ];
        assert_eq!(names, expected);
        assert_eq!(keys.groups.len(), 1);
    }

    #[test]
    fn no_flags_leave_it_to_the_rule() {
        assert_eq!(KeyArgs::default().key_set(&Closed).unwrap(), None);
        let blank = KeyArgs { age: vec![" , ".to_owned()], ..KeyArgs::default() };
        assert_eq!(blank.key_set(&Closed).unwrap(), None);
    }
}
