//! Where a label or annotation of a Secret belongs once it is sealed: the one table that says so.
//!
//! A Secret in Git carries three kinds of them. Some are of the Secret itself and go into the template. Some tell a tool
//! what to do with the object that it finds in Git: that is the SealedSecret from now on. And some are notes that a tool
//! has left on an object of a cluster: on another object they would be wrong, and some hold old values in plaintext.

use super::check::is_forbidden;

/// Where one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The template, and so the Secret that is made.
    Template,
    /// The SealedSecret: what tools do with the object that they find in Git.
    Object,
    Nowhere,
    Refused,
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Labels,
    Annotations,
    Both,
}

/// The table: the first row that matches counts. A key that ends in `*` stands for all that begin so.
const TABLE: &[(Of, &str, Place)] = &[
    // Helm: what it is to do with the object, and what it has written on it. `helm.sh/chart` is a label like any other.
    (Of::Labels, "helm.sh/chart", Place::Template),
    (Of::Both, "helm.sh/*", Place::Object),
    (Of::Both, "meta.helm.sh/*", Place::Nowhere),
    // Argo CD. `argocd.argoproj.io/secret-type` and the like are for the Secret.
    (Of::Both, "argocd.argoproj.io/tracking-id", Place::Nowhere),
    (Of::Both, "argocd.argoproj.io/installation-id", Place::Nowhere),
    (Of::Both, "argocd.argoproj.io/instance", Place::Nowhere),
    (Of::Annotations, "argocd.argoproj.io/sync-*", Place::Object),
    (Of::Annotations, "argocd.argoproj.io/hook*", Place::Object),
    (Of::Annotations, "argocd.argoproj.io/compare-options", Place::Object),
    (Of::Annotations, "argocd.argoproj.io/ignore-*", Place::Object),
    // Flux: its controllers look for what they are to do among labels and annotations.
    (Of::Both, "kustomize.toolkit.fluxcd.io/name", Place::Nowhere),
    (Of::Both, "kustomize.toolkit.fluxcd.io/namespace", Place::Nowhere),
    (Of::Both, "kustomize.toolkit.fluxcd.io/checksum", Place::Nowhere),
    (Of::Both, "kustomize.toolkit.fluxcd.io/*", Place::Object),
    (Of::Both, "helm.toolkit.fluxcd.io/name", Place::Nowhere),
    (Of::Both, "helm.toolkit.fluxcd.io/namespace", Place::Nowhere),
    (Of::Both, "helm.toolkit.fluxcd.io/*", Place::Object),
    // kubectl: an object with the mark of a set that is in no manifest of the set is pruned.
    (Of::Both, "applyset.kubernetes.io/*", Place::Nowhere),
    (Of::Annotations, "kubectl.kubernetes.io/last-applied-configuration", Place::Nowhere),
    // kustomize and kpt.
    (Of::Annotations, "internal.config.kubernetes.io/*", Place::Nowhere),
    (Of::Annotations, "config.kubernetes.io/origin", Place::Nowhere),
    (Of::Annotations, "config.kubernetes.io/path", Place::Nowhere),
    (Of::Annotations, "config.kubernetes.io/index", Place::Nowhere),
    (Of::Annotations, "config.kubernetes.io/*", Place::Object),
    (Of::Annotations, "config.k8s.io/owning-inventory", Place::Nowhere),
    (Of::Annotations, "cli-utils.sigs.k8s.io/*", Place::Object),
    (Of::Annotations, "client.lifecycle.config.k8s.io/*", Place::Object),
    // Rancher's Fleet.
    (Of::Both, "objectset.rio.cattle.io/*", Place::Nowhere),
    // kapp: the object as it was applied, in plaintext, and which app it is of.
    (Of::Both, "kapp.k14s.io/original*", Place::Nowhere),
    (Of::Both, "kapp.k14s.io/identity", Place::Nowhere),
    (Of::Both, "kapp.k14s.io/app", Place::Nowhere),
    (Of::Both, "kapp.k14s.io/association", Place::Nowhere),
    (Of::Annotations, "kapp.k14s.io/*", Place::Object),
    // Others who keep the object as it was applied.
    (Of::Annotations, "banzaicloud.com/last-applied", Place::Nowhere),
    // Ours: what the controller reads on a SealedSecret; what it writes on Secrets, or people so that it may adopt them.
    (Of::Annotations, "sealant.dev/suspend", Place::Object),
    (Of::Annotations, "sealant.dev/on-immutable", Place::Object),
    (Of::Both, "sealant.dev/managed", Place::Nowhere),
    (Of::Both, "sealant.dev/made-by", Place::Nowhere),
    (Of::Both, "sealant.dev/sealed-secret", Place::Nowhere),
    (Of::Both, "sealant.dev/adopt", Place::Nowhere),
];

/// Annotations that hold an object as it was once applied: on a Secret, old values in plaintext.
pub const WITH_OLD_VALUES: [&str; 4] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kapp.k14s.io/original",
    "kapp.k14s.io/original-diff",
    "banzaicloud.com/last-applied",
];

impl Place {
    /// Where a label or annotation goes.
    pub(super) fn of(key: &str, is_label: bool) -> Self {
        match TABLE.iter().find(|row| matches(row, key, is_label)) {
            Some((.., place)) => *place,
            None if is_forbidden(key) => Self::Refused,
            None => Self::Template,
        }
    }
}

fn matches((of, pattern, _): &(Of, &str, Place), key: &str, is_label: bool) -> bool {
    let is_of = match of {
        Of::Labels => is_label,
        Of::Annotations => !is_label,
        Of::Both => true,
    };
    is_of
        && match pattern.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => key == *pattern,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An example of each row, in the order of the table.
    const EXAMPLES: &[(&str, Place)] = &[
        ("helm.sh/chart", Place::Template),
        ("helm.sh/resource-policy", Place::Object),
        ("meta.helm.sh/release-name", Place::Nowhere),
        ("argocd.argoproj.io/tracking-id", Place::Nowhere),
        ("argocd.argoproj.io/installation-id", Place::Nowhere),
        ("argocd.argoproj.io/instance", Place::Nowhere),
        ("argocd.argoproj.io/sync-options", Place::Object),
        ("argocd.argoproj.io/hook-delete-policy", Place::Object),
        ("argocd.argoproj.io/compare-options", Place::Object),
        ("argocd.argoproj.io/ignore-healthcheck", Place::Object),
        ("kustomize.toolkit.fluxcd.io/name", Place::Nowhere),
        ("kustomize.toolkit.fluxcd.io/namespace", Place::Nowhere),
        ("kustomize.toolkit.fluxcd.io/checksum", Place::Nowhere),
        ("kustomize.toolkit.fluxcd.io/prune", Place::Object),
        ("helm.toolkit.fluxcd.io/name", Place::Nowhere),
        ("helm.toolkit.fluxcd.io/namespace", Place::Nowhere),
        ("helm.toolkit.fluxcd.io/driftDetection", Place::Object),
        ("applyset.kubernetes.io/part-of", Place::Nowhere),
        ("kubectl.kubernetes.io/last-applied-configuration", Place::Nowhere),
        ("internal.config.kubernetes.io/previousNames", Place::Nowhere),
        ("config.kubernetes.io/origin", Place::Nowhere),
        ("config.kubernetes.io/path", Place::Nowhere),
        ("config.kubernetes.io/index", Place::Nowhere),
        ("config.kubernetes.io/local-config", Place::Object),
        ("config.k8s.io/owning-inventory", Place::Nowhere),
        ("cli-utils.sigs.k8s.io/on-remove", Place::Object),
        ("client.lifecycle.config.k8s.io/deletion", Place::Object),
        ("objectset.rio.cattle.io/hash", Place::Nowhere),
        ("kapp.k14s.io/original-diff", Place::Nowhere),
        ("kapp.k14s.io/identity", Place::Nowhere),
        ("kapp.k14s.io/app", Place::Nowhere),
        ("kapp.k14s.io/association", Place::Nowhere),
        ("kapp.k14s.io/update-strategy", Place::Object),
        ("banzaicloud.com/last-applied", Place::Nowhere),
        ("sealant.dev/suspend", Place::Object),
        ("sealant.dev/on-immutable", Place::Object),
        ("sealant.dev/managed", Place::Nowhere),
        ("sealant.dev/made-by", Place::Nowhere),
        ("sealant.dev/sealed-secret", Place::Nowhere),
        ("sealant.dev/adopt", Place::Nowhere),
    ];

    #[test]
    fn every_row_decides_what_it_is_there_for() {
        assert_eq!(TABLE.len(), EXAMPLES.len());
        for (index, ((of, ..), (key, place))) in TABLE.iter().zip(EXAMPLES).enumerate() {
            for is_label in [false, true] {
                let is_meant = *of == Of::Both || (*of == Of::Labels) == is_label;
                let found = TABLE.iter().position(|row| matches(row, key, is_label));
                assert!(!is_meant || found == Some(index), "{key}: {found:?}");
                assert!(!is_meant || Place::of(key, is_label) == *place, "{key}");
            }
        }
    }

    #[test]
    fn what_is_in_no_row_is_the_secrets_own_or_refused() {
        for key in ["app", "argocd.argoproj.io/secret-type", "reflector.v1.k8s.emberstack.com/reflects"] {
            assert_eq!(Place::of(key, true), Place::Template, "{key}");
        }
        for key in ["sealant.dev/x", "kubectl.kubernetes.io/x", "sealedsecrets.bitnami.com/managed"] {
            assert_eq!(Place::of(key, false), Place::Refused, "{key}");
        }
    }

    #[test]
    fn what_holds_old_values_goes_nowhere() {
        for key in WITH_OLD_VALUES {
            assert_eq!(Place::of(key, false), Place::Nowhere, "{key}");
        }
    }
}
