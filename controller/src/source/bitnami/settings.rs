//! The flags for SealedSecrets of `bitnami.com`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

/// Whether they are looked after, where their keys are, who makes them, and where kubeseal is served.
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

    /// Which key is sealed for: the one with the newest certificate, or with the newest Secret
    #[arg(long, env = "SEALANT_BITNAMI_KEY_ORDER_PRIORITY", value_enum, value_name = "ORDER",
          default_value_t = KeyOrder::CertNotBefore)]
    pub bitnami_key_order_priority: KeyOrder,

    /// Make a key if there is none, and a new one once the newest is this old, such as 720h; with 0, only the first.
    /// Without this setting no key is made
    #[arg(long, env = "SEALANT_BITNAMI_KEY_RENEW_PERIOD", value_name = "DURATION", value_parser = duration)]
    pub bitnami_key_renew_period: Option<Duration>,

    /// Make a new key if the newest one is from before this time: "Mon, 02 Nov 2026 15:04:05 +0000", or 2026-11-02T15:04:05Z
    #[arg(long, env = "SEALANT_BITNAMI_KEY_CUTOFF_TIME", value_name = "TIME", value_parser = time)]
    pub bitnami_key_cutoff_time: Option<Timestamp>,

    /// How long the certificate of a new key may be sealed for; what was sealed opens afterwards, too
    #[arg(long, env = "SEALANT_BITNAMI_KEY_TTL", value_name = "DURATION", default_value = "87600h", value_parser = duration)]
    pub bitnami_key_ttl: Duration,

    /// Where to serve to kubeseal what their controller does: /v1/cert.pem and /v1/verify, as 0.0.0.0:8082. Without it, nowhere
    #[arg(long, env = "SEALANT_BITNAMI_ADDRESS", value_name = "ADDRESS")]
    pub bitnami_address: Option<SocketAddr>,

    /// Leave out the metric sealed_secrets_controller_condition_info, which names each of these SealedSecrets
    #[arg(long, env = "SEALANT_BITNAMI_METRICS_OMIT_SECRET_LABELS", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub bitnami_metrics_omit_secret_labels: bool,
}

/// By which time keys are ordered, as their controller calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyOrder {
    #[value(name = "CertNotBefore")]
    CertNotBefore,
    #[value(name = "SecretCreationTimestamp")]
    SecretCreationTimestamp,
}

/// As Go writes durations.
fn duration(text: &str) -> Result<Duration, String> {
    let said = || "a duration is written as 720h or 1h30m".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let duration: SignedDuration = text.parse().map_err(|_| said())?;
    duration.try_into().map_err(|_| said())
}

/// As their controller takes times, or as Kubernetes writes them.
fn time(text: &str) -> Result<Timestamp, String> {
    let of_mail = || jiff::fmt::rfc2822::parse(text).map(|time| time.timestamp());
    let time = text.parse().or_else(|_| of_mail());
    time.map_err(|_| {
        "a time is written as 2026-11-02T15:04:05Z or Mon, 02 Nov 2026 15:04:05 +0000".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_times_are_written_as_for_their_controller() {
        let hours = |hours: u64| Ok(Duration::from_secs(hours * 3600));
        assert_eq!(
            ["720h", "87600h", "0", "0s", "90m", "1h30m"]
                .map(|text| duration(text).map(|time| time.as_secs())),
            [Ok(2_592_000), Ok(315_360_000), Ok(0), Ok(0), Ok(5400), Ok(5400)]
        );
        assert_eq!(duration("24h0m0s"), hours(24));
        for wrong in ["", "30", "-1h", "a", "1h-30m"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        let expected = Ok("2026-11-02T15:04:05Z".parse().unwrap());
        for text in
            ["Mon, 02 Nov 2026 15:04:05 +0000", "Mon, 02 Nov 2026 08:04:05 -0700", "2026-11-02T15:04:05Z"]
        {
            assert_eq!(time(text), expected, "{text}");
        }
        assert!(time("yesterday").is_err());
    }
}
