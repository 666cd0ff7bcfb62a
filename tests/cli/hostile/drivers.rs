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
    (
        "git rm -q --cached .sops.yaml && echo a: b > secrets/n.yaml && git add secrets/n.yaml && git commit -m x",
        &[],
    ),
    ("echo 'password: x' > secrets/n.yaml && git add secrets sub plugin vault names && git commit -m x", &[]),
    ("cd secrets && echo 'password: x' > n.yaml && git --git-dir=../.git --work-tree=.. commit -am x", &[]),
    ("git blame --textconv secrets/a.yaml", &[Print, StartPlugins]),
];

/// Shows files with names that look like options, after a change: as many as [`COUNT`].
pub const OPTION_NAMES: &str = "for name in ./-*.yaml; do echo 'x: changed' >> \"$name\"; done; git diff";
pub const COUNT: usize = 3;
