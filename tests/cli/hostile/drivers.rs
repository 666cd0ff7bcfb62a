//! What Git does in the hostile repository, with our drivers and our hook installed.

use super::canaries::May::{self, Print, StartPlugins};

/// Lines for a shell at the top of the repository.
pub const LINES: &[(&str, &[May])] = &[
    ("git status", &[]),
    ("git diff", &[Print]),
    (OPTION_NAMES, &[Print]),
    ("git diff HEAD~1", &[Print]),
    ("git log -p --all", &[Print]),
    ("git show HEAD~1", &[Print]),
    ("cd secrets && git --git-dir=../.git --work-tree=.. log -p", &[Print]),
    ("git merge -m merged attacker", &[]),
    ("git rebase attacker", &[]),
    ("git checkout -q attacker && git cherry-pick main", &[]),
    ("git checkout -q attacker && git rebase main", &[]),
    ("git cherry-pick attacker", &[]),
    ("git revert --no-edit HEAD", &[]),
    ("echo x: y >> merged/db.yaml && git stash && git stash pop", &[]),
    ("git blame --textconv secrets/a.yaml", &[Print, StartPlugins]),
];

/// Shows files with names that look like options, after a change: as many as [`COUNT`].
pub const OPTION_NAMES: &str = "for name in ./-*.yaml; do echo 'x: changed' >> \"$name\"; done; git diff";
pub const COUNT: usize = 3;

/// Commits that the hook must not let by.
pub const COMMITS: &[&str] = &[
    "echo 'password: x' > prod/n.yaml && git add prod && git commit -m x",
    "echo 'password: x' > prod/n.yaml && cd prod && git add n.yaml && git commit -m x",
    "echo 'password: x' > prod/n.yaml && git add prod && git rm -q .sops.yaml && git commit -m x",
    "echo 'password: x' > prod/n.yaml && git add prod && git rm -q --cached .sops.yaml && git commit -m x",
    "echo 'password: x' > secrets/prod/n.yaml && cd secrets && git --git-dir=../.git --work-tree=.. add -A . \
     && git --git-dir=../.git --work-tree=.. commit -m x",
    "echo 'password: x' > prod/n.yaml && git add prod && PRE_COMMIT_FROM_REF=HEAD PRE_COMMIT_TO_REF=HEAD git commit \
     -m x",
];
