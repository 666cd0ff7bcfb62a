//! The variables by which loaders, shells and languages run code or look for programs: whoever writes a file of the
//! repository would run what they like in whoever does `exec-env`.
//!
//! One table. It cannot be complete: what a program makes of other variables is the program's business.

/// Names, and the beginnings of names, which end in `*`.
pub const LOADERS: &[(&str, &[&str])] = &[
    ("the system's loader", &["LD_*", "DYLD_*", "GCONV_PATH", "GLIBC_TUNABLES"]),
    (
        "where programs and their settings are found",
        &["PATH", "HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "SHELL"],
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
        "editors, pagers and askpass programs",
        &[
            "EDITOR",
            "VISUAL",
            "PAGER",
            "MANPAGER",
            "BROWSER",
            "LESSOPEN",
            "LESSCLOSE",
            "SSH_ASKPASS",
            "SUDO_ASKPASS",
            "SOPS_EDITOR",
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
    ("Node.js", &["NODE_OPTIONS", "NODE_PATH", "NODE_REPL_EXTERNAL_MODULE", "npm_config_script_shell"]),
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
        ],
    ),
    ("Perl", &["PERL5OPT", "PERL5LIB", "PERLLIB", "PERL5DB"]),
    ("Ruby", &["RUBYOPT", "RUBYLIB", "RUBYSHELL", "GEM_HOME", "GEM_PATH", "BUNDLE_GEMFILE"]),
    (
        "Java",
        &[
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "JAVA_OPTS",
            "MAVEN_OPTS",
            "GRADLE_OPTS",
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
            "JULIA_LOAD_PATH",
            "DOTNET_STARTUP_HOOKS",
            "COR_*",
            "CORECLR_*",
            "ERL_FLAGS",
            "ERL_AFLAGS",
            "ERL_ZFLAGS",
            "ERL_LIBS",
            "GOFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "MAKEFLAGS",
            "MAKEFILES",
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
            "RSYNC_RSH",
            "TAR_OPTIONS",
        ],
    ),
];

/// Whether a variable is one of them.
pub fn is_loader(name: &str) -> bool {
    let is_like = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *pattern,
    };
    LOADERS.iter().any(|(_, patterns)| patterns.iter().any(is_like))
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
        ] {
            assert!(!is_loader(name), "{name}");
        }
    }

    #[test]
    fn the_documentation_has_the_table() {
        let documentation = include_str!("../../../docs/sops.md");
        let names =
            |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        for (whose, of_it) in LOADERS {
            let line = format!("| {whose} | {} |", names(of_it));
            assert!(documentation.contains(&line), "docs/sops.md lacks the line\n{line}");
        }
    }
}
