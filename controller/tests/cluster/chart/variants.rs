//! Installations that can be had both ways: what a kustomization beside `deploy/` asks for, and the values that ask the chart for it.

use std::path::Path;

use sealant_test_support::Sandbox;

pub struct Variant {
    pub name: &'static str,
    /// Of `cluster/kustomization.yaml`.
    pub kustomization: String,
    pub values: &'static str,
    pub namespace: &'static str,
}

const NAMESPACE: &str = "sealant-system";

/// With these components of `deploy/components`, and what follows in the kustomization.
fn with(name: &'static str, components: &[&str], more: &str, values: &'static str) -> Variant {
    let components: String =
        components.iter().map(|name| format!("  - ../deploy/components/{name}\n")).collect();
    let components = if components.is_empty() { components } else { format!("components:\n{components}") };
    let kustomization = format!("resources:\n  - ../deploy/crd\n  - ../deploy\n{components}{more}");
    Variant { name, kustomization, values, namespace: NAMESPACE }
}

/// With a patch that a page of `docs/` shows.
fn documented(name: &'static str, section: &str, block: usize, values: &'static str) -> Variant {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/controller.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, section) = page.split_once(section).expect("the section");
    let block = section.split("```").nth(2 * block + 1).expect("the block");
    let patches = block.split_once("patches:\n").expect("patches").1.split("EOF").next().expect("patches");
    with(name, &[], &format!("patches:\n{patches}"), values)
}

pub fn all() -> Vec<Variant> {
    let mut variants = vec![
        with("as it comes", &[], "", "{}"),
        with("priority", &["priority"], "", "priorityClass: {create: true}"),
        with("selector", &["selector"], "", "settings: {selector: '!sealant.dev/class'}"),
        with("network-policy", &["network-policy"], "", "networkPolicy: {enabled: true}"),
        with(
            "network-policy-clouds",
            &["network-policy", "network-policy-clouds"],
            "",
            "networkPolicy: {enabled: true, clouds: true}",
        ),
        with(
            "monitoring",
            &["monitoring"],
            "",
            "metrics: {podMonitor: {enabled: true}, prometheusRule: {enabled: true}}",
        ),
        with("bitnami", &["bitnami"], "", "bitnami: {enabled: true}"),
        with(
            "bitnami-http",
            &["bitnami", "bitnami-http"],
            "",
            "bitnami: {enabled: true, http: {enabled: true}}",
        ),
        with(
            "bitnami-keys",
            &["bitnami", "bitnami-keys"],
            "",
            "bitnami: {enabled: true, keys: {enabled: true}}",
        ),
        documented(
            "keys in Vault",
            "\n## Keys in Vault\n",
            2,
            "settings: {vaultAllow: ['http://127.0.0.1:8200'], vaultRole: sealant}\nvault: {tokenAudience: vault}",
        ),
        documented(
            "keys in clouds",
            "\n## Keys in clouds\n",
            0,
            "settings: {kmsAllow: ['arn:aws:kms:eu-west-1:123456789012']}
serviceAccount: {annotations: {eks.amazonaws.com/role-arn: 'arn:aws:iam::123456789012:role/sealant'}}",
        ),
        with("with the pod's settings", &["network-policy", "monitoring"], POD, POD_VALUES),
        with(
            "without what can be left out",
            &[],
            LEFT_OUT,
            "replicaCount: null\npodDisruptionBudget: {enabled: false}",
        ),
    ];
    let mut other = |name, resources: &str, more: &str, values, namespace| {
        let kustomization = format!("resources: [{resources}]\n{more}");
        variants.push(Variant { name, kustomization, values, namespace });
    };
    other("without the definition", "../deploy", "", "crds: {install: false}", NAMESPACE);
    other(
        "with the definition of sealed-secrets",
        "../deploy/crd, ../deploy/crd-bitnami, ../deploy",
        "components: [../deploy/components/bitnami]",
        "bitnami: {enabled: true, installCRD: true}",
        NAMESPACE,
    );
    other(
        "one namespace",
        "../deploy/crd, ../deploy/namespaced",
        "",
        "watchNamespaces: [default]",
        NAMESPACE,
    );
    other(
        "two namespaces",
        "../deploy/crd, ../deploy/namespaced, shop.yaml",
        SHOP,
        "watchNamespaces: [default, shop]",
        NAMESPACE,
    );
    other(
        "sealed-secrets in one namespace",
        "../deploy/crd, ../deploy/namespaced",
        IN_A_NAMESPACE,
        "watchNamespaces: [default]\nbitnami: {enabled: true}",
        NAMESPACE,
    );
    other(
        "a second controller",
        "../deploy",
        SECOND,
        "crds: {install: false}\nrbac: {clusterRoleName: sealant-payments}\nsettings: {selector: sealant.dev/class=payments}",
        "sealant-payments",
    );
    variants.push(with(
        "every component",
        &[
            "bitnami",
            "bitnami-http",
            "bitnami-keys",
            "monitoring",
            "network-policy",
            "network-policy-clouds",
            "priority",
            "selector",
        ],
        "",
        EVERYTHING,
    ));
    variants
}

/// What the chart can have of the pod, by kustomize.
const POD: &str = "
images:
  - name: ghcr.io/sealant-dev/sealant-controller
    newName: registry.example.com/controller
    digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: sealant-controller, namespace: sealant-system}
      spec:
        replicas: 3
        template:
          metadata:
            labels: {azure.workload.identity/use: 'true'}
            annotations: {example.com/scrape: 'no'}
          spec:
            imagePullSecrets: [{name: registry}]
            nodeSelector: {kubernetes.io/os: linux}
            tolerations: [{key: control-plane, operator: Exists}]
            affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}}
            priorityClassName: system-cluster-critical
            volumes: [{name: ids, emptyDir: {}}]
            containers:
              - name: controller
                imagePullPolicy: Always
                args: [--log-format=text]
                env:
                  - {name: HTTPS_PROXY, value: 'http://proxy.example.com'}
                  - {name: SEALANT_CONCURRENCY, value: '128'}
                  - {name: SEALANT_GENERATE_IDENTITY, value: 'false'}
                  - {name: SEALANT_IDENTITY_FILE, value: '/ids,/more'}
                  - {name: SEALANT_LOG_LEVEL, value: debug}
                volumeMounts: [{name: ids, mountPath: /ids}]
                resources: {requests: {cpu: 100m}}
  - target: {kind: PodMonitor}
    patch: |
      - {op: add, path: /metadata/labels/release, value: prometheus}
      - {op: replace, path: /spec/podMetricsEndpoints/0/interval, value: 15s}
  - target: {kind: PrometheusRule}
    patch: |
      - {op: add, path: /metadata/labels/release, value: prometheus}
  - target: {kind: NetworkPolicy}
    patch: |
      - {op: replace, path: /spec/ingress/0/from/0/namespaceSelector/matchLabels/kubernetes.io~1metadata.name, value: prometheus}
      - {op: add, path: /spec/egress/-, value: {ports: [{protocol: TCP, port: 8201}]}}
";

const POD_VALUES: &str = "
image:
  repository: registry.example.com/controller
  digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  pullPolicy: Always
imagePullSecrets: [{name: registry}]
replicaCount: 3
podLabels: {azure.workload.identity/use: 'true', app.kubernetes.io/name: not-this-one}
podAnnotations: {example.com/scrape: 'no'}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: control-plane, operator: Exists}]
affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}}
priorityClassName: system-cluster-critical
volumes: [{name: ids, emptyDir: {}}]
volumeMounts: [{name: ids, mountPath: /ids}]
extraArgs: [--log-format=text]
extraEnv: [{name: HTTPS_PROXY, value: 'http://proxy.example.com'}]
settings: {concurrency: 128, generateIdentity: false, identityFile: [/ids, /more], logLevel: debug}
resources: {requests: {cpu: 100m}}
metrics:
  podMonitor: {enabled: true, interval: 15s, labels: {release: prometheus}}
  prometheusRule: {enabled: true, labels: {release: prometheus}}
networkPolicy: {enabled: true, metricsNamespace: prometheus, extraEgress: [{ports: [{protocol: TCP, port: 8201}]}]}
";

const LEFT_OUT: &str = "
patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: sealant-controller, namespace: sealant-system}
      spec: {replicas: null}
  - patch: |
      $patch: delete
      apiVersion: policy/v1
      kind: PodDisruptionBudget
      metadata: {name: sealant-controller, namespace: sealant-system}
";

/// As `deploy/namespaced` says: a copy of its role, and the name.
const SHOP: &str = "
patches:
  - target: {kind: Deployment}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/env/2/value, value: 'default,shop'}
";

/// The component gives rights in the whole cluster; the chart gives them in the namespaces alone.
const IN_A_NAMESPACE: &str = "
components: [../deploy/components/bitnami]
patches:
  - target: {kind: ClusterRole}
    options: {allowKindChange: true}
    patch: |
      - {op: replace, path: /kind, value: Role}
      - {op: add, path: /metadata/namespace, value: default}
  - target: {kind: ClusterRoleBinding}
    options: {allowKindChange: true}
    patch: |
      - {op: replace, path: /kind, value: RoleBinding}
      - {op: add, path: /metadata/namespace, value: default}
      - {op: replace, path: /roleRef/kind, value: Role}
";

const SECOND: &str = "
namespace: sealant-payments
components: [../deploy/components/selector]
patches:
  - target: {kind: ClusterRole}
    patch: |
      - {op: replace, path: /metadata/name, value: sealant-payments}
  - target: {kind: ClusterRoleBinding}
    patch: |
      - {op: replace, path: /metadata/name, value: sealant-payments}
      - {op: replace, path: /roleRef/name, value: sealant-payments}
  - target: {kind: Deployment}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/env/2/value, value: sealant.dev/class=payments}
";

pub const EVERYTHING: &str = "
bitnami: {enabled: true, http: {enabled: true}, keys: {enabled: true}}
metrics: {podMonitor: {enabled: true}, prometheusRule: {enabled: true}}
networkPolicy: {enabled: true, clouds: true}
priorityClass: {create: true}
settings: {selector: '!sealant.dev/class'}
";

/// Writes `cluster/`, with `deploy/` beside it.
pub fn write(variant: &Variant, test: &Sandbox, deploy: &Path) {
    std::os::unix::fs::symlink(deploy, test.path("deploy")).expect("a link in the sandbox");
    test.write("cluster/kustomization.yaml", &variant.kustomization);
    let role = std::fs::read_to_string(deploy.join("namespaced/role.yaml")).expect("the role");
    test.write("cluster/shop.yaml", role.replace("namespace: default", "namespace: shop"));
    test.write("values.yaml", variant.values);
}
