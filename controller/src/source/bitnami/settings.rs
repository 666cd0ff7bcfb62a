//! The flags for SealedSecrets of `bitnami.com`.

use clap::{ArgAction, Args};

/// Whether they are looked after, and where their keys are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "SealedSecrets of bitnami.com")]
pub struct BitnamiSettings {
    /// Look after SealedSecrets of bitnami.com, too, with the keys of their own controller, which has to be stopped: an object
    /// is that of one controller
    #[arg(long, env = "SEALANT_BITNAMI", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub bitnami: bool,

    /// The namespace with their keys: that of their controller
    #[arg(long, env = "SEALANT_BITNAMI_KEY_NAMESPACE", value_name = "NAME", default_value = "kube-system")]
    pub bitnami_key_namespace: String,
}
