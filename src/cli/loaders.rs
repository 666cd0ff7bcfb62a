//! The variables that make loaders, shells and languages run code or look for programs, and those that put what a
//! program sends or encrypts into somebody else's hands. With them, anybody who can write a file in the repository
//! could run code as the user of `exec-env`, or read their tokens for servers that have nothing to do with the file.
//!
//! Two tables. They cannot be complete: what a program does with other variables is its own business. They leave out
//! what such files are for, such as a server's address and its password.

/// Names, in which `*` is any text. Names of npm, Yarn and proxies match in any case.
pub const LOADERS: &[(&str, &[&str])] = &[
    ("the system's loader", &["LD_*", "DYLD_*", "GCONV_PATH", "GLIBC_TUNABLES"]),
    (
        "where programs and their settings are found",
        &[
            "PATH",
            "HOME",
            "XDG_CONFIG_HOME",
            "XDG_CONFIG_DIRS",
            "XDG_DATA_HOME",
            "XDG_DATA_DIRS",
            "XDG_CACHE_HOME",
            "XDG_RUNTIME_DIR",
            "SHELL",
        ],
    ),
    (
        "shells",
        &[
            "BASH_ENV",
            "ENV",
            "SHELLOPTS",
            "BASHOPTS",
            "BASH_FUNC_*",
            "IFS",
            "PS0",
            "PS1",
            "PS2",
            "PS4",
            "CDPATH",
            "PROMPT_COMMAND",
            "ZDOTDIR",
            "FPATH",
        ],
    ),
    (
        "editors, pagers, askpass programs, and what fetches keys",
        &[
            "EDITOR",
            "VISUAL",
            "PAGER",
            "MANPAGER",
            "BROWSER",
            "LESSOPEN",
            "LESSCLOSE",
            "AWS_PAGER",
            "GH_PAGER",
            "SYSTEMD_PAGER",
            "PSQL_PAGER",
            "BAT_PAGER",
            "PSQL_EDITOR",
            "SVN_EDITOR",
            "HGEDITOR",
            "KUBE_EDITOR",
            "SYSTEMD_EDITOR",
            "EMACSLOADPATH",
            "VIMINIT",
            "EXINIT",
            "FZF_DEFAULT_COMMAND",
            "RIPGREP_CONFIG_PATH",
            "LESS",
            "LESSKEY",
            "LESSKEYIN",
            "MANOPT",
            "READNULLCMD",
            "VIMRUNTIME",
            "SSH_SK_HELPER",
            "SSH_ASKPASS",
            "SSH_SK_PROVIDER",
            "SUDO_ASKPASS",
            "SOPS_EDITOR",
            "SOPS_GPG_EXEC",
            "SOPS_AGE_KEY_CMD",
            "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
        ],
    ),
    (
        "Git",
        &[
            "GIT_SSH",
            "GIT_SSH_COMMAND",
            "GIT_EDITOR",
            "GIT_SEQUENCE_EDITOR",
            "GIT_PAGER",
            "GIT_ASKPASS",
            "GIT_EXEC_PATH",
            "GIT_EXTERNAL_DIFF",
            "GIT_PROXY_COMMAND",
            "GIT_TEMPLATE_DIR",
            "GIT_CONFIG*",
            "GIT_TRACE*",
            "GIT_DIR",
            "GIT_COMMON_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_ALLOW_PROTOCOL",
        ],
    ),
    (
        "Node.js, npm and Bun",
        &[
            "NODE_OPTIONS",
            "NODE_PATH",
            "NODE_REPL_EXTERNAL_MODULE",
            "npm_config_*",
            "YARN_YARN_PATH",
            "YARN_RC_FILENAME",
            "TS_NODE_COMPILER",
            "BUN_OPTIONS",
        ],
    ),
    (
        "Python",
        &[
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PYTHONHOME",
            "PYTHONINSPECT",
            "PYTHONBREAKPOINT",
            "PYTHONWARNINGS",
            "PYTHONUSERBASE",
            "PYTHONEXECUTABLE",
            "PYTHONPYCACHEPREFIX",
            "PYTHONPLATLIBDIR",
            "PYENV_*",
            "PIP_PYTHON",
            "PYTEST_ADDOPTS",
            "PYTEST_PLUGINS",
            "UV_PYTHON",
            "UV_CONFIG_FILE",
            "IPYTHONDIR",
            "JUPYTER_CONFIG_DIR",
            "GUNICORN_CMD_ARGS",
        ],
    ),
    ("Perl", &["PERL5OPT", "PERL5LIB", "PERLLIB", "PERL5DB"]),
    (
        "Ruby",
        &[
            "RUBYOPT",
            "RUBYLIB",
            "RUBYSHELL",
            "GEM_HOME",
            "GEM_PATH",
            "GEMRC",
            "BUNDLE_GEMFILE",
            "BUNDLE_PATH",
            "BUNDLE_BIN",
            "BUNDLE_CONFIG",
            "BUNDLE_APP_CONFIG",
            "BUNDLE_USER_*",
        ],
    ),
    (
        "Java",
        &[
            "JAVA_HOME",
            "JAVACMD",
            "JRE_HOME",
            "GRADLE_USER_HOME",
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "JAVA_OPTS",
            "MAVEN_OPTS",
            "MAVEN_ARGS",
            "GRADLE_OPTS",
            "SBT_OPTS",
            "ANT_OPTS",
            "CATALINA_OPTS",
            "KAFKA_OPTS",
            "CLASSPATH",
        ],
    ),
    (
        "other languages",
        &[
            "PHPRC",
            "PHP_INI_SCAN_DIR",
            "LUA_INIT*",
            "LUA_PATH*",
            "LUA_CPATH*",
            "R_PROFILE*",
            "R_ENVIRON*",
            "R_HOME",
            "JULIA_LOAD_PATH",
            "JULIA_DEPOT_PATH",
            "GUILE_LOAD_*",
            "TCLLIBPATH",
            "DOTNET_STARTUP_HOOKS",
            "DOTNET_ROOT",
            "DOTNET_ADDITIONAL_DEPS",
            "DOTNET_SHARED_STORE",
            "MONO_PATH",
            "COR_*",
            "CORECLR_*",
            "ERL_FLAGS",
            "ERL_AFLAGS",
            "ERL_ZFLAGS",
            "ERL_LIBS",
            "ELIXIR_ERL_OPTIONS",
            "GOFLAGS",
            "GOENV",
            "GOROOT",
            "GCCGO",
            "CGO_*",
            "GOTOOLCHAIN",
            "GOCACHEPROG",
            "GOAUTH",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTDOC",
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_ALIAS_*",
            "CARGO_HOME",
            "CARGO_BUILD_*",
            "CARGO_REGISTRY_CREDENTIAL_PROVIDER",
            "CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS",
            "CARGO_REGISTRIES_*_CREDENTIAL_PROVIDER",
            "CARGO_TARGET_*",
            "RUSTUP_TOOLCHAIN",
            "RUSTUP_HOME",
            "MAKEFLAGS",
            "GNUMAKEFLAGS",
            "MAKEFILES",
            "MAKE",
            "CONFIG_SHELL",
            "CC",
            "CXX",
            "CPP",
            "LD",
            "AR",
            "AS",
            "FC",
            "LEX",
            "YACC",
            "ARFLAGS",
            "CFLAGS",
            "CPPFLAGS",
            "CXXFLAGS",
            "LDFLAGS",
            "LDLIBS",
            "TARGET_ARCH",
            "RM",
            "PC",
            "CONFIG_SITE",
            "PKG_CONFIG",
            "COMPILER_PATH",
            "GCC_EXEC_PREFIX",
            "CPATH",
            "LIBRARY_PATH",
            "PKG_CONFIG_PATH",
            "CMAKE_TOOLCHAIN_FILE",
        ],
    ),
    (
        "libraries and clients that load or start programs",
        &[
            "OPENSSL_CONF",
            "OPENSSL_ENGINES",
            "OPENSSL_MODULES",
            "KUBECONFIG",
            "AWS_CONFIG_FILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CREDENTIALS",
            "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES",
            "AZURE_CONFIG_DIR",
            "AZURE_EXTENSION_DIR",
            "AZD_CONFIG_DIR",
            "HUAWEICLOUD_SDK_CREDENTIALS_FILE",
            "CLOUDSDK_CONFIG",
            "CLOUDSDK_*PYTHON*",
            "GNUPGHOME",
            "ANSIBLE_*",
            "TF_CLI_ARGS*",
            "AWS_DATA_PATH",
            "TF_CLI_CONFIG_FILE",
            "VAULT_CONFIG_PATH",
            "BAO_CONFIG_PATH",
            "PSQLRC",
            "KRB5_CONFIG",
            "GIO_EXTRA_MODULES",
            "GTK_MODULES",
            "QT_PLUGIN_PATH",
            "LIBMYSQL_PLUGINS",
            "LIBMYSQL_PLUGIN_DIR",
            "MYSQL_HOME",
            "LIBGL_DRIVERS_PATH",
            "COMPOSE_FILE",
            "TF_REATTACH_PROVIDERS",
            "CVS_RSH",
            "SVN_SSH",
            "RSYNC_RSH",
            "RSYNC_CONNECT_PROG",
            "BORG_RSH",
            "BORG_PASSCOMMAND",
            "RESTIC_PASSWORD_COMMAND",
            "HGRCPATH",
            "TAR_OPTIONS",
            "ZIPOPT",
            "COREPACK_HOME",
            "DBUS_*_BUS_ADDRESS",
            "HELM_BIN",
            "HELM_PLUGINS",
            "HELM_DATA_HOME",
            "HELM_CONFIG_HOME",
            "HELM_CACHE_HOME",
            "KUBECTL_*",
            "NIX_CONFIG",
            "NIX_PATH",
            "NIX_CONF_DIR",
            "NIX_USER_CONF_FILES",
            "NIX_REMOTE",
            "NIX_SSHOPTS",
            "RCLONE_CONFIG",
            "RCLONE_CONFIG_DIR",
            "RCLONE_PASSWORD_COMMAND",
        ],
    ),
];

/// These make a program contact a different server, trust an impostor, or encrypt for somebody else.
pub const DETOURS: &[(&str, &[&str])] = &[
    (
        "proxies",
        &[
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "ftp_proxy",
            "grpc_proxy",
            "VAULT_HTTP_PROXY",
            "VAULT_PROXY_ADDR",
            "BAO_HTTP_PROXY",
            "BAO_PROXY_ADDR",
        ],
    ),
    (
        "where programs download from, and which servers they ask",
        &[
            "CURL_HOME",
            "WGETRC",
            "SYSTEM_WGETRC",
            "PGHOSTADDR",
            "PGSERVICEFILE",
            "PGSYSCONFDIR",
            "HOSTALIASES",
            "SSH_AUTH_SOCK",
            "CLOUDSDK_PROXY_*",
            "CLOUDSDK_AUTH_*",
            "DOCKER_HOST",
            "CONTAINER_HOST",
            "BUILDKIT_HOST",
            "ARGOCD_OPTS",
            "DOCKER_CONFIG",
            "GH_HOST",
            "GH_CONFIG_DIR",
            "CONSUL_HTTP_ADDR",
            "KUBERNETES_SERVICE_HOST",
            "KUBERNETES_SERVICE_PORT",
            "NETRC",
            "HELM_KUBE*",
            "HELM_REGISTRY_CONFIG",
            "HELM_REPOSITORY_*",
            "KUBERNETES_MASTER",
            "TWINE_REPOSITORY_URL",
            "AZURE_AUTHORITY_HOST",
            "GOPROXY",
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "PIP_CONFIG_FILE",
            "PIP_FIND_LINKS",
            "PIP_TRUSTED_HOST",
            "UV_INDEX",
            "UV_INDEX_URL",
            "UV_DEFAULT_INDEX",
            "UV_EXTRA_INDEX_URL",
            "UV_FIND_LINKS",
            "UV_INSECURE_HOST",
            "BUNDLE_MIRROR_*",
            "CARGO_REGISTRIES_*_INDEX",
            "CARGO_SOURCE_*",
            "CARGO_HTTP_PROXY",
            "COREPACK_NPM_REGISTRY",
        ],
    ),
    (
        "which recipients and servers Sealant and sops use",
        &[
            "SOPS_CONFIG",
            "SOPS_AGE_RECIPIENTS",
            "SOPS_PGP_FP",
            "SOPS_KMS_ARN",
            "SOPS_VAULT_URIS",
            "SOPS_GCP_KMS_*",
            "SOPS_AZURE_KEYVAULT_URLS",
            "SOPS_HUAWEICLOUD_KMS_IDS",
            "SOPS_HC_VAULT_ALLOWLIST",
            "SOPS_KEYSERVICE",
            "SOPS_ENABLE_LOCAL_KEYSERVICE",
            "AWS_ENDPOINT_URL*",
            "AWS_CONTAINER_*",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "GCE_METADATA_*",
            "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_*",
            "AZURE_FEDERATED_TOKEN_FILE",
            "AZURE_POD_IDENTITY_AUTHORITY_HOST",
            "IDENTITY_ENDPOINT",
            "IMDS_ENDPOINT",
            "MSI_ENDPOINT",
            "HUAWEICLOUD_SDK_REGION*",
            "HUAWEICLOUD_SDK_IAM_ENDPOINT",
            "HUAWEICLOUD_SDK_ID_TOKEN_FILE",
            "VAULT_AUTH_METHOD",
            "VAULT_ROLE_ID_FILE",
            "VAULT_SECRET_ID_FILE",
            "VAULT_ID_TOKEN_FILE",
            "BAO_AUTH_METHOD",
            "BAO_ROLE_ID_FILE",
            "BAO_SECRET_ID_FILE",
            "BAO_ID_TOKEN_FILE",
            "BAO_TOKEN_PATH",
        ],
    ),
    (
        "which certificates are trusted, and where session keys are logged",
        &[
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "SSLKEYLOGFILE",
            "CURL_CA_BUNDLE",
            "REQUESTS_CA_BUNDLE",
            "HTTPLIB2_CA_CERTS",
            "PIP_CERT",
            "PYTHONHTTPSVERIFY",
            "NODE_EXTRA_CA_CERTS",
            "NODE_TLS_REJECT_UNAUTHORIZED",
            "AWS_CA_BUNDLE",
            "CARGO_HTTP_CAINFO",
            "GIT_SSL_CAINFO",
            "GIT_SSL_CAPATH",
            "GIT_SSL_NO_VERIFY",
            "VAULT_CACERT",
            "VAULT_CACERT_BYTES",
            "VAULT_CAPATH",
            "VAULT_SKIP_VERIFY",
            "VAULT_TLS_SERVER_NAME",
            "BAO_CACERT",
            "BAO_CACERT_BYTES",
            "BAO_CAPATH",
            "BAO_SKIP_VERIFY",
            "BAO_TLS_SERVER_NAME",
        ],
    ),
];

/// Whether a variable decides which code runs.
pub fn is_loader(name: &str) -> bool {
    is_in(LOADERS, name)
}

/// Whether a variable decides who receives what is sent.
pub fn is_detour(name: &str) -> bool {
    is_in(DETOURS, name)
}

/// Addresses of servers, each with the tokens that clients send there. Vault's own client does not read OpenBao's.
const ADDRESSES: &[(&str, &[&str])] = &[
    ("VAULT_ADDR", &["VAULT_TOKEN"]),
    ("VAULT_AGENT_ADDR", &["VAULT_TOKEN"]),
    ("BAO_ADDR", &["VAULT_TOKEN", "BAO_TOKEN"]),
    ("BAO_AGENT_ADDR", &["VAULT_TOKEN", "BAO_TOKEN"]),
    ("ARGOCD_SERVER", &["ARGOCD_AUTH_TOKEN"]),
    ("GITLAB_HOST", &["GITLAB_TOKEN"]),
    ("NOMAD_ADDR", &["NOMAD_TOKEN"]),
    ("PGHOST", &["PGPASSWORD"]),
    ("DATABRICKS_HOST", &["DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET"]),
    ("PULUMI_BACKEND_URL", &["PULUMI_ACCESS_TOKEN"]),
];

/// The token that OpenBao's client prefers to one of Vault's.
const PREFERRED: &str = "BAO_TOKEN";

/// Whether a variable of a file sends a token to a server without bringing one: the person's own. `brings` says whether
/// the file sets a variable to more than nothing, since an empty token counts as none, `has` whether the person does.
pub fn leads_tokens_away(name: &str, brings: impl Fn(&str) -> bool, has: impl Fn(&str) -> bool) -> bool {
    let tokens = ADDRESSES.iter().find(|(address, _)| *address == name).map(|(_, tokens)| *tokens);
    let is_preferred = has(PREFERRED) && !brings(PREFERRED);
    tokens.is_some_and(|tokens| is_preferred || !tokens.iter().any(|token| brings(token)))
}

fn is_in(table: &[(&str, &[&str])], name: &str) -> bool {
    let is_like = |pattern: &&str| match is_read_in_any_case(pattern) {
        true => matches(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase()),
        false => matches(pattern, name),
    };
    table.iter().any(|(_, patterns)| patterns.iter().any(is_like))
}

/// Whether a name is in the table, where `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((beginning, "")) => name.starts_with(beginning),
        Some((beginning, rest)) => name
            .strip_prefix(beginning)
            .is_some_and(|name| name.char_indices().any(|(at, _)| matches(rest, &name[at..]))),
    }
}

/// npm, Yarn and many clients that use proxies read these names in any case.
fn is_read_in_any_case(name: &str) -> bool {
    name.starts_with("npm_config_") || name.starts_with("YARN_") || name.ends_with("_proxy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_beginnings_are_beginnings() {
        for name in [
            "PATH",
            "LD_PRELOAD",
            "LD_",
            "DYLD_INSERT_LIBRARIES",
            "GIT_CONFIG_COUNT",
            "BASH_FUNC_ls%%",
            "ENV",
        ] {
            assert!(is_loader(name), "{name}");
        }
        // What people keep in such files.
        for name in [
            "DB_PATH",
            "PATHS",
            "APP_ENV",
            "GIT_TOKEN",
            "NODE_ENV",
            "PASSWORD",
            "LDAP_PASSWORD",
            "VAULT_ADDR",
            "PROXY_PASSWORD",
            "NO_PROXY",
            "AWS_PROFILE",
            "AWS_ACCESS_KEY_ID",
            "SOPS_AGE_KEY",
            "AZURE_CLIENT_SECRET",
            "AZURE_TENANT_ID",
            "HUAWEICLOUD_SDK_SK",
            "NPM_TOKEN",
            "CARGO_REGISTRIES_OURS_TOKEN",
            "BUNDLE_GEMS__EXAMPLE__COM",
            "UV_PUBLISH_TOKEN",
            "DBUS",
            "LDAP",
            // Where telemetry goes is a server's address like others, most often without a token.
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "COMPOSE_PROJECT_NAME",
            "MYSQL_PASSWORD",
        ] {
            assert!(!is_loader(name) && !is_detour(name), "{name}");
        }
        for name in [
            "NPM_CONFIG_SCRIPT_SHELL",
            "Npm_Config_node_options",
            "GNUMAKEFLAGS",
            "CC",
            "JAVA_HOME",
            "GOCACHEPROG",
            "CARGO_TARGET_X86_64_LINKER",
            "NPM_CONFIG_REGISTRY",
            "npm_config_HTTPS_PROXY",
            "DBUS_SESSION_BUS_ADDRESS",
            "DBUS_SYSTEM_BUS_ADDRESS",
            "AR",
        ] {
            assert!(is_loader(name), "{name}");
        }
        for name in
            ["HTTPS_PROXY", "Https_Proxy", "CURL_HOME", "HELM_KUBEAPISERVER", "CARGO_REGISTRIES_OURS_INDEX"]
        {
            assert!(is_detour(name), "{name}");
        }
        assert!(is_detour("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
        let leads = |name: &str, brings: &[&str], has: &[&str]| {
            leads_tokens_away(name, |token| brings.contains(&token), |token| has.contains(&token))
        };
        assert!(leads("VAULT_ADDR", &[], &[]) && !leads("VAULT_TOKEN", &[], &[]));
        assert!(!leads("BAO_ADDR", &["BAO_TOKEN"], &["VAULT_TOKEN"]));
        assert!(leads("VAULT_ADDR", &["BAO_TOKEN"], &[]));
        assert!(leads("DATABRICKS_HOST", &[], &[]) && !leads("DATABRICKS_HOST", &["DATABRICKS_TOKEN"], &[]));
        // OpenBao's client takes the person's own token if the file has only Vault's.
        for address in ["BAO_ADDR", "VAULT_ADDR", "BAO_AGENT_ADDR"] {
            assert!(!leads(address, &["VAULT_TOKEN"], &[]));
            assert!(leads(address, &["VAULT_TOKEN"], &["BAO_TOKEN"]));
            assert!(!leads(address, &["VAULT_TOKEN", "BAO_TOKEN"], &["BAO_TOKEN"]));
        }
        assert!(
            is_loader("yarn_yarn_path") && is_detour("VAULT_ID_TOKEN_FILE") && is_detour("BAO_TOKEN_PATH")
        );
        assert!(is_detour("https_proxy") && is_detour("SSL_CERT_FILE") && !is_loader("SSL_CERT_FILE"));
    }

    /// OpenBao's clients read each variable of Vault's under their own name, too.
    #[test]
    fn what_is_refused_of_vault_is_refused_of_openbao() {
        let names = LOADERS.iter().chain(DETOURS).flat_map(|(_, names)| *names);
        let twins: Vec<_> = names.filter_map(|name| name.strip_prefix("VAULT_")).collect();
        assert!(twins.len() > 5, "{twins:?}");
        for twin in twins.iter().map(|rest| format!("BAO_{rest}")) {
            assert!(is_loader(&twin) || is_detour(&twin), "{twin}");
        }
    }

    /// A nested command of ours would encrypt for whoever the file says.
    #[test]
    fn a_file_names_nobody_for_whom_others_encrypt() {
        for kind in crate::keys::KeyKind::ALL {
            assert!(is_detour(kind.variable()), "{kind}");
        }
    }

    #[test]
    fn the_documentation_has_the_table() {
        let documentation = include_str!("../../docs/sops.md");
        let names =
            |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        for (whose, of_it) in LOADERS.iter().chain(DETOURS) {
            let line = format!("| {whose} | {} |", names(of_it));
            assert!(documentation.contains(&line), "docs/sops.md lacks the line\n{line}");
        }
    }
}
