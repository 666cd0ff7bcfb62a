//! The ways through what is advised.

use super::Ends::{Gone, Shown};
use super::Walk;

const SECRET: &str = "mkdir -p apps; printf 'apiVersion: v1\\nkind: Secret\\nmetadata: {name: a, namespace: b}\\nstringData:\\n  a: hunter2\\n' > apps/secret.yaml";

const SHALLOW: &str = "echo 'b: 1' > secrets/b.yaml; sealant encrypt -i secrets/b.yaml; git add .; git commit -qm b; git clone -q --bare . ~/o.git; git clone -q --depth 1 file://$HOME/o.git ~/c; rm -rf .git; mv ~/c/.git .";

macro_rules! walks {
    ($($name:literal: $state:expr, $asks:literal => [$($step:literal),*], $ends:expr;)*) => {
        &[$(Walk { name: $name, state: $state, asks: $asks, steps: &[$($step),*], ends: $ends }),*]
    };
}

pub const WALKS: &[Walk] = walks![
    // A file that was misspelt.
    "a file that is not there": "true",
        "sealant decrypt secrets/none.yaml" => ["sealant status"], Shown;
    "a file to encrypt that is not there": "true",
        "sealant encrypt -i secrets/something.yaml" => ["sealant edit secrets/something.yaml"], Shown;
    "a file to change that is not there": "true",
        "sealant set secrets/something.yaml a b" => ["sealant edit secrets/something.yaml"], Shown;
    "a file to print that is not there": "true",
        "sealant get secrets/something.yaml a" => ["sealant status"], Shown;
    "how a rule comes to match a file": "echo A=1 > .env",
        "sealant explain .env" => ["mv .env secrets/.env && sealant encrypt -i secrets/.env"], Shown;
    "a Secret to seal outside the rules": SECRET,
        "sealant seal apps/secret.yaml" => ["mv apps/secret.yaml secrets/secret.yaml && sealant seal -i secrets/secret.yaml"], Shown;
    "a newcomer whom no rule names": "true",
        "sealant updatekeys --add $STRANGER secrets/db.yaml" => ["sealant recipient add age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd --for secrets/db.yaml"], Shown;
    "a new key for a name": "printf 'sealant:\\n  recipients:\\n    %s: Anna\\n' $RECIPIENT >> .sops.yaml",
        "sealant recipient add Anna $STRANGER --for secrets/db.yaml" => ["sealant recipient add 'Anna 2' age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd --for secrets/db.yaml"], Shown;
    "a lost key of a name": "printf 'sealant:\\n  recipients:\\n    %s: Anna\\n' $STRANGER >> .sops.yaml; sed -i \"s/age: /age: $STRANGER,/\" .sops.yaml; sealant updatekeys --yes secrets/db.yaml",
        "sealant recipient add Anna $RECIPIENT --for secrets/db.yaml" => ["sealant recipient rm Anna --all-rules"], Shown;
    "a file outside the rules": "echo A=1 > .env",
        "sealant encrypt -i .env" => ["mv .env secrets/.env && sealant encrypt -i secrets/.env"], Shown;
    "a file outside the rules, before there is a folder": "git rm -q -r secrets; echo A=1 > .env",
        "sealant encrypt -i .env" => ["mkdir -p secrets && mv .env secrets/.env && sealant encrypt -i secrets/.env"], Shown;
    "an encrypted file outside the rules": "echo A=1 > .env; sealant encrypt -i --age $RECIPIENT .env",
        "sealant updatekeys .env" => ["mv .env secrets/.env && sealant updatekeys secrets/.env"], Shown;
    "a new file outside the rules": "true",
        "sealant edit new.yaml" => ["sealant edit secrets/new.yaml"], Shown;
    "a type that only we know by its name": "echo A=1 > secrets/.env.production",
        "sealant encrypt -i secrets/.env.production" => ["sealant decrypt -i secrets/.env.production && sealant encrypt -i --input-type dotenv secrets/.env.production"], Shown;
    "variables of a file that is encrypted as a whole": "echo A=1 > secrets/.env.production; sealant encrypt -i secrets/.env.production",
        "sealant exec-env secrets/.env.production printenv data" => ["sealant decrypt -i secrets/.env.production && sealant encrypt -i --input-type dotenv secrets/.env.production"], Shown;
    "a folder that is not there": "true",
        "sealant check nowhere" => ["sealant status"], Shown;
    "a file that the shell has emptied": ": > secrets/db.yaml",
        "sealant decrypt secrets/db.yaml" => ["git restore secrets/db.yaml"], Gone;
    // What Git has not, or not as it should be.
    "no repository": "rm -rf .git",
        "sealant git install" => ["git init"], Gone;
    "blast radius in a shallow clone": SHALLOW,
        "sealant blast-radius --recipient $RECIPIENT" => ["git fetch --unshallow"], Gone;
    "ages in a shallow clone": SHALLOW,
        "sealant status --max-age 1d" => ["git fetch --unshallow"], Gone;
    "a base that is not here": "git clone -q --bare . ~/o.git; git branch -m topic; git push -q ~/o.git topic; git clone -q --single-branch -b topic file://$HOME/o.git ~/c; rm -rf .git; mv ~/c/.git .",
        "sealant check --base origin/main" => ["git fetch origin main:refs/remotes/origin/main"], Gone;
    "a file that one side has deleted": "git checkout -q -b gone; git rm -q secrets/db.yaml; git commit -qm gone; git checkout -q main; sealant set secrets/db.yaml a 1; git commit -qam set; ! git merge gone",
        "sealant resolve --theirs secrets/db.yaml" => ["git rm secrets/db.yaml"], Shown;
    "another encoding than Git's": "printf '{\"y_unencrypted\": \"$Id: 1 $\", \"a\": \"b\"}' > secrets/i.json; sealant encrypt -i secrets/i.json; git add .; git commit -qm i; echo 'secrets/i.json ident' > .gitattributes; git add .; git commit -qm odd; rm secrets/i.json; git checkout -q secrets/i.json",
        "sealant check" => ["! git rm -q .gitattributes", "git rm --cached secrets/i.json && git checkout HEAD -- secrets/i.json"], Gone;
    // Findings of `check`.
    "plaintext": "echo 'a: 1' > secrets/new.yaml",
        "sealant check" => ["sealant encrypt -i secrets/new.yaml"], Gone;
    "plaintext of two files": "echo 'a: 1' > secrets/new.yaml; echo 'a: 1' > 'secrets/a b.yaml'",
        "sealant check" => ["sealant encrypt -i 'secrets/a b.yaml' secrets/new.yaml"], Gone;
    "a value that came in later": "sed -i '1i new: hunter3' secrets/db.yaml",
        "sealant check" => ["! sed -i 1d secrets/db.yaml", "sealant edit secrets/db.yaml"], Gone;
    "decrypt with a value that came in later": "sed -i '1i new: hunter3' secrets/db.yaml",
        "sealant decrypt secrets/db.yaml" => ["! sed -i 1d secrets/db.yaml", "sealant edit secrets/db.yaml"], Gone;
    "a comment that came in later": "sed -i '1i # hunter3' secrets/db.yaml",
        "sealant check" => ["! sed -i 1d secrets/db.yaml", "sealant edit secrets/db.yaml"], Gone;
    "a Secret that no rule matches": SECRET,
        "sealant check" => ["mv apps/secret.yaml secrets/secret.yaml && sealant encrypt -i secrets/secret.yaml"], Gone;
    "a Secret that no rule matches, staged": "mkdir -p apps; printf 'apiVersion: v1\\nkind: Secret\\nmetadata: {name: a, namespace: b}\\nstringData:\\n  a: hunter2\\n' > apps/secret.yaml; git add .",
        "sealant hook pre-commit" => ["mv apps/secret.yaml secrets/secret.yaml && sealant encrypt -i secrets/secret.yaml && git add apps/secret.yaml secrets/secret.yaml"], Gone;
    "a Secret, and rules that name no folder": "sed -i 's/path_regex: .*/path_regex: enc/' .sops.yaml; mkdir -p apps; printf 'apiVersion: v1\\nkind: Secret\\nmetadata: {name: a, namespace: b}\\nstringData:\\n  a: hunter2\\n' > apps/secret.yaml",
        "sealant check" => ["! printf '  - path_regex: ^apps/\\n    age: %s\\n' $RECIPIENT >> .sops.yaml", "sealant encrypt -i apps/secret.yaml"], Gone;
    "a Secret without a config": "git rm -q .sops.yaml; git commit -qm none; mkdir -p apps; printf 'kind: Secret\\napiVersion: v1\\nstringData: {a: hunter2}\\n' > apps/secret.yaml",
        "sealant check apps" => ["sealant init", "mv apps/secret.yaml secrets/secret.yaml && sealant encrypt -i secrets/secret.yaml"], Gone;
    "kubectl's annotation": "printf '  - path_regex: ^apps/\\n    age: %s\\n' $RECIPIENT >> .sops.yaml; mkdir apps; printf 'kind: Secret\\napiVersion: v1\\nmetadata:\\n  name: a\\n  annotations:\\n    kubectl.kubernetes.io/last-applied-configuration: |\\n      {\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"stringData\":{\"a\":\"hunter2\"}}\\nstringData: {a: hunter2}\\n' > apps/secret.yaml",
        "sealant check" => ["sealant encrypt -i --strip-last-applied apps/secret.yaml"], Gone;
    "a Secret beside a SealedSecret": "printf '  - path_regex: ^apps/\\n    age: %s\\n' $RECIPIENT >> .sops.yaml; mkdir apps; printf 'kind: Secret\\napiVersion: v1\\nmetadata: {name: a, namespace: b}\\nstringData: {a: hunter2}\\n' > apps/s.yaml; sealant seal -i apps/s.yaml; printf -- '---\\nkind: Secret\\napiVersion: v1\\nmetadata: {name: c, namespace: b}\\nstringData: {a: hunter2}\\n' >> apps/s.yaml",
        "sealant check" => ["sealant inspect apps/s.yaml"], Shown;
    "settings": "printf 'user: a\\npassword: b\\n' > secrets/s.yaml; sealant encrypt -i --encrypted-regex '^password$' secrets/s.yaml; echo '    encrypted_regex: .' >> .sops.yaml; sealant updatekeys --settings --yes secrets/db.yaml",
        "sealant check" => ["sealant updatekeys --settings secrets/s.yaml"], Gone;
    "a removed recipient": "echo 'a: 1' > secrets/two.yaml; sealant encrypt -i --age $RECIPIENT,$STRANGER secrets/two.yaml",
        "sealant check" => ["sealant updatekeys secrets/two.yaml"], Gone;
    "somebody asks for access": "sed -i \"s/age: /age: $STRANGER,/\" .sops.yaml",
        "sealant check" => ["sealant updatekeys --add age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd secrets/db.yaml"], Gone;
    "a copy": "printf '  - path_regex: ^dev/\\n    age: %s,%s\\n' $RECIPIENT $STRANGER >> .sops.yaml; mkdir dev; cp secrets/db.yaml dev/db.yaml; git add .",
        "sealant hook pre-commit" => ["sealant rotate -i --allow-copied dev/db.yaml && git add dev/db.yaml"], Gone;
    "a conflict": "b() { git checkout -q -b $1; echo \"password: $1\" > secrets/db.yaml; sealant encrypt -i secrets/db.yaml; git commit -qam $1; git checkout -q main; }; b one; b two; git merge -q one; ! git merge two",
        "sealant check" => ["sealant resolve secrets/db.yaml", "sealant resolve --ours secrets/db.yaml"], Gone;
    "a file without its MAC": "sed -i '/mac:/d' secrets/db.yaml",
        "sealant check" => ["git restore --source=HEAD --staged --worktree -- secrets/db.yaml"], Gone;
    "a MAC that is another's": "sed -i 's/mac: ENC\\[AES256_GCM,data:./mac: ENC[AES256_GCM,data:_/' secrets/db.yaml",
        "sealant check --verify" => ["git restore --source=HEAD --staged --worktree -- secrets/db.yaml"], Gone;
    "half of a file": "sed -i '/lastmodified/,$d' secrets/db.yaml",
        "sealant check" => ["git restore --source=HEAD --staged --worktree -- secrets/db.yaml"], Gone;
    "decrypt of half of a file": "sed -i '/lastmodified/,$d' secrets/db.yaml",
        "sealant decrypt secrets/db.yaml" => ["git restore --source=HEAD secrets/db.yaml"], Gone;
    "plaintext that cannot be read": "printf 'a: 1\\n\\tb: 2\\n' > secrets/x.yaml",
        "sealant check" => ["! sed -i 2d secrets/x.yaml", "sealant encrypt -i secrets/x.yaml"], Gone;
    "a broken file that Git does not have": "sed '/mac:/d' secrets/db.yaml > secrets/x.yaml",
        "sealant check" => ["sealant inspect secrets/x.yaml"], Shown;

    "somebody's own settings": "printf '  - path_regex: .\\n    age: %s\\n' $RECIPIENT >> .sops.yaml; echo 'password: a' > own.yaml; sealant encrypt -i --unencrypted-regex password own.yaml",
        "sealant check" => ["! sed -i '4a\\    encrypted_regex: password' .sops.yaml", "sealant updatekeys --settings own.yaml"], Gone;
    "a large file": "head -c 5000000 /dev/zero | tr '\\0' 'a' | sed 's/^/a: /' > secrets/large.yaml",
        "sealant check" => ["sealant encrypt -i secrets/large.yaml"], Gone;

    // Findings of the hook.
    "staged in plaintext": "echo 'a: 1' > secrets/new.yaml; git add .",
        "sealant hook pre-commit" => ["sealant encrypt -i secrets/new.yaml && git add secrets/new.yaml"], Gone;
    "encrypted, and not staged": "echo 'a: 1' > secrets/new.yaml; git add .; sealant encrypt -i secrets/new.yaml",
        "sealant hook pre-commit" => ["git add secrets/new.yaml"], Gone;
    "fixed, and not staged": "echo 'a: 1' > secrets/new.yaml; git add .",
        "sealant hook pre-commit --fix" => ["git add secrets/new.yaml"], Gone;
    "gone, and staged": "echo 'a: 1' > secrets/new.yaml; git add .; rm secrets/new.yaml",
        "sealant hook pre-commit" => ["git rm --cached -q -- secrets/new.yaml"], Gone;
    "a value that came in later, staged": "sed -i '1i new: hunter3' secrets/db.yaml; git add .",
        "sealant hook pre-commit" => ["! sed -i 1d secrets/db.yaml", "sealant edit secrets/db.yaml && git add secrets/db.yaml"], Gone;
    "a private key": "cp ~/.config/sops/age/keys.txt key.txt; git add .",
        "sealant hook pre-commit" => ["git rm --cached -f -q -- key.txt"], Gone;
    "a private key in a file of the last commit": "echo a > notes.txt; git add .; git commit -qm notes; cat ~/.config/sops/age/keys.txt >> notes.txt; git add .",
        "sealant hook pre-commit" => ["git restore --staged -- notes.txt"], Gone;
    "a config that is not staged": "mkdir other; cp .sops.yaml other; echo 'a: 1' > other/a.yaml; git add other/a.yaml",
        "sealant hook pre-commit" => ["git add other/.sops.yaml"], Gone;

    "a value that was replaced by hand": "sed -i 's/^password: .*/password: hunter3/' secrets/db.yaml",
        "sealant check" => ["git restore --source=HEAD --staged --worktree -- secrets/db.yaml"], Gone;
    "decrypt with a value that was replaced by hand": "sed -i 's/^password: .*/password: hunter3/' secrets/db.yaml",
        "sealant decrypt secrets/db.yaml" => ["git restore --source=HEAD secrets/db.yaml"], Gone;
    "a value that was removed by hand": "echo 'user: a' > secrets/two.yaml; echo 'password: b' >> secrets/two.yaml; sealant encrypt -i secrets/two.yaml; git add .; git commit -qm two; sed -i 2d secrets/two.yaml; git add .",
        "sealant hook pre-commit" => ["git restore --source=HEAD --staged --worktree -- secrets/two.yaml"], Gone;
    "a value that was removed by hand, and committed": "echo 'user: a' > secrets/two.yaml; echo 'password: b' >> secrets/two.yaml; sealant encrypt -i secrets/two.yaml; git add .; git commit -qm two; git tag two; sed -i 2d secrets/two.yaml; git commit -qam three",
        "sealant decrypt secrets/two.yaml" => ["! git restore --source=two secrets/two.yaml", "sealant edit secrets/two.yaml"], Gone;
    "a conflict that was resolved as text": "b() { git checkout -q -b $1; echo \"password: $1\" > secrets/db.yaml; sealant encrypt -i secrets/db.yaml; git commit -qam $1; git checkout -q main; }; b one; b two; git merge -q one; ! git merge two; sed -i -e '/^<<<<<<</,/^=======/d' -e '/^>>>>>>>/d' secrets/db.yaml; sed -i '/^password:/s/data:...../data:AAAAA/' secrets/db.yaml; git add .",
        "sealant hook pre-commit" => ["git checkout -m secrets/db.yaml && sealant resolve secrets/db.yaml && git add secrets/db.yaml", "sealant resolve --theirs secrets/db.yaml", "git add secrets/db.yaml"], Gone;

    "markers that were staged, in the hook": "b() { git checkout -q -b $1; echo \"password: $1\" > secrets/db.yaml; sealant encrypt -i secrets/db.yaml; git commit -qam $1; git checkout -q main; }; b one; b two; git merge -q one; ! git merge two; git add .",
        "sealant hook pre-commit" => ["git checkout -m secrets/db.yaml && sealant resolve secrets/db.yaml && git add secrets/db.yaml", "sealant resolve --ours secrets/db.yaml", "git add secrets/db.yaml"], Gone;

    // Errors.
    "a Secret that sops has encrypted": "printf '  - path_regex: ^apps/\\n    age: %s\\n' $RECIPIENT >> .sops.yaml; mkdir apps; printf 'kind: Secret\\napiVersion: v1\\nmetadata: {name: a, namespace: b}\\nstringData: {a: hunter2}\\n' > apps/s.yaml; sealant encrypt -i apps/s.yaml",
        "sealant seal -i apps/s.yaml" => ["sealant decrypt apps/s.yaml | sealant seal --filename-override apps/s.yaml --output apps/s.sealed.yaml"], Shown;
    "decrypt of a file that was changed": "sed -i 's/mac: ENC\\[AES256_GCM,data:./mac: ENC[AES256_GCM,data:_/' secrets/db.yaml",
        "sealant decrypt secrets/db.yaml" => ["git restore --source=HEAD secrets/db.yaml"], Gone;
    "set where the settings differ": "printf 'user: a\\npassword: b\\n' > secrets/s.yaml; sealant encrypt -i --encrypted-regex '^password$' secrets/s.yaml; echo '    encrypted_regex: .' >> .sops.yaml",
        "sealant set secrets/s.yaml user b" => ["sealant updatekeys --settings secrets/s.yaml"], Gone;
    "decrypt without a MAC": "sed -i '/mac:/d' secrets/db.yaml",
        "sealant decrypt secrets/db.yaml" => ["git log --oneline -- secrets/db.yaml"], Shown;
    "a damaged data key": "sed -i '/BEGIN AGE/{n;s/YWdl/!!!!/}' secrets/db.yaml; grep -q '!!!!' secrets/db.yaml",
        "sealant decrypt secrets/db.yaml" => ["git restore --source=HEAD secrets/db.yaml"], Gone;
    "decrypt without a MAC, as it is": "sed -i '/mac:/d' secrets/db.yaml",
        "sealant decrypt secrets/db.yaml" => ["sealant decrypt --ignore-mac secrets/db.yaml"], Shown;
    "a new file that was changed by hand, and is to stay": "printf 'a: 1\nb: 2\n' > secrets/new.yaml; sealant encrypt -i secrets/new.yaml; sed -i 2d secrets/new.yaml",
        "sealant decrypt secrets/new.yaml" => ["sealant edit --ignore-mac secrets/new.yaml"], Gone;
    "a second file where the command begins": "echo 'B: 1' > secrets/b.yaml; sealant encrypt -i secrets/b.yaml",
        "sealant exec-env secrets/db.yaml secrets/b.yaml printenv B" => ["sealant exec-env --file secrets/b.yaml secrets/db.yaml printenv B"], Shown;
    "a variable that runs code": "printf 'A: 1\\nPATH: /x\\n' > secrets/e.yaml; sealant encrypt -i secrets/e.yaml",
        "sealant export secrets/e.yaml" => ["sealant export --only A secrets/e.yaml"], Shown;
    "a name that no shell takes": "echo 'a-b: 1' > secrets/e.yaml; sealant encrypt -i secrets/e.yaml",
        "sealant export secrets/e.yaml" => ["sealant edit secrets/e.yaml"], Shown;
    "a new repository": "git rm -qr .sops.yaml secrets; git commit -qm none; rm -r ~/.config/sops",
        "sealant init" => ["sealant edit secrets/app.yaml"], Shown;
    "a new repository with files": "git rm -qr .sops.yaml secrets; git commit -qm none; rm -r ~/.config/sops",
        "sealant init" => ["! mkdir secrets; echo 'a: 1' > secrets/a.yaml", "sealant encrypt -i secrets"], Gone;
    "a new repository without Git's drivers": "git rm -qr .sops.yaml secrets; git commit -qm none; rm -r ~/.config/sops",
        "sealant init" => ["sealant git install"], Gone;
    "init beside a config of another name": "git mv .sops.yaml .sops.yml; git commit -qm renamed",
        "sealant init 2>&1 | sed \"s|$PWD/||g\"; test ! -e .sops.yml" => ["mv .sops.yml .sops.yaml"], Gone;
    "a value that was removed by hand, and is to go": "echo 'user: a' > secrets/two.yaml; echo 'password: b' >> secrets/two.yaml; sealant encrypt -i secrets/two.yaml; git add .; git commit -qm two; sed -i 2d secrets/two.yaml",
        "sealant decrypt secrets/two.yaml" => ["sealant edit --ignore-mac secrets/two.yaml"], Gone;
    "init where the config was deleted": "rm .sops.yaml",
        "sealant init" => ["git restore --source=HEAD --staged --worktree -- .sops.yaml"], Gone;
    "a deleted config": "git rm -q .sops.yaml",
        "sealant hook pre-commit" => ["git restore --source=HEAD --staged --worktree -- .sops.yaml"], Gone;
    "a new file that is a misspelt one": "true",
        "sealant edit secrets/db.yam" => ["sealant edit secrets/db.yaml"], Shown;
    "a new file whose name sounds like another's": "true",
        "sealant edit secrets/db.yam" => ["sealant edit --input-type yaml secrets/db.yam"], Shown;
    "a command before the file": "true",
        "sealant exec-env printenv secrets/db.yaml" => ["sealant exec-env secrets/db.yaml printenv"], Shown;
    "a line of a shell before the file": "true",
        "sealant exec-file 'cat {}' secrets/db.yaml" => ["sealant exec-file secrets/db.yaml 'cat {}'"], Shown;
    "init where all is there": "sealant git install",
        "sealant init" => ["sealant doctor"], Gone;
    "encrypted already": "true",
        "sealant encrypt -i secrets/db.yaml" => ["sealant edit secrets/db.yaml"], Shown;
    "a SealedSecret is encrypted already": "printf '  - path_regex: ^apps/\\n    age: %s\\n' $RECIPIENT >> .sops.yaml; mkdir apps; printf 'kind: Secret\\napiVersion: v1\\nmetadata: {name: a, namespace: b}\\nstringData: {a: hunter2}\\n' > apps/s.yaml; sealant seal -i apps/s.yaml",
        "sealant encrypt -i apps/s.yaml" => ["sealant updatekeys apps/s.yaml"], Shown;
    "not encrypted": "echo 'a: 1' > secrets/new.yaml",
        "sealant decrypt secrets/new.yaml" => ["sealant encrypt -i secrets/new.yaml"], Gone;
    "decrypt of a conflict": "b() { git checkout -q -b $1; echo \"password: $1\" > secrets/db.yaml; sealant encrypt -i secrets/db.yaml; git commit -qam $1; git checkout -q main; }; b one; b two; git merge -q one; ! git merge two",
        "sealant decrypt secrets/db.yaml" => ["sealant resolve secrets/db.yaml", "sealant resolve --ours secrets/db.yaml"], Gone;
    "markers that were staged": "b() { git checkout -q -b $1; echo \"password: $1\" > secrets/db.yaml; sealant encrypt -i secrets/db.yaml; git commit -qam $1; git checkout -q main; }; b one; b two; git merge -q one; ! git merge two; git add .",
        "sealant resolve secrets/db.yaml" => ["git checkout -m secrets/db.yaml", "sealant resolve --ours secrets/db.yaml"], Gone;
    "markers that were committed": "b() { git checkout -q -b $1; echo \"password: $1\" > secrets/db.yaml; sealant encrypt -i secrets/db.yaml; git commit -qam $1; git checkout -q main; }; b one; b two; git merge -q one; ! git merge two; git add .; git commit -qm merged",
        "sealant resolve secrets/db.yaml" => ["git restore --source=HEAD~ secrets/db.yaml"], Gone;
    "no rule for a file": "mkdir other; echo 'a: 1' > other/a.yaml",
        "sealant encrypt -i other/a.yaml" => ["sealant explain other/a.yaml"], Shown;
    "the path before the file": "true",
        "sealant get password secrets/db.yaml" => ["sealant get secrets/db.yaml password"], Shown;
    "no topic of help, but nearly": "true",
        "sealant help recpient" => ["sealant help recipient"], Shown;
    "decrypt of a SealedSecret": "printf '  - path_regex: ^apps/\\n    age: %s\\n' $RECIPIENT >> .sops.yaml; mkdir apps; printf 'kind: Secret\\napiVersion: v1\\nmetadata: {name: a, namespace: b}\\nstringData: {a: hunter2}\\n' > apps/s.yaml; sealant seal -i apps/s.yaml",
        "sealant decrypt apps/s.yaml" => ["sealant unseal apps/s.yaml"], Shown;
    "unseal of a SOPS file": "true",
        "sealant unseal secrets/db.yaml" => ["sealant decrypt secrets/db.yaml"], Shown;
    "no config": "git rm -q .sops.yaml; git commit -qm none; echo 'a: 1' > a.yaml",
        "sealant encrypt -i a.yaml" => ["sealant init", "! sed -i 's|path_regex: .*|path_regex: ^a|' .sops.yaml"], Shown;
    "seal without a config": "git rm -q .sops.yaml; git commit -qm none; printf 'kind: Secret\\napiVersion: v1\\nmetadata: {name: a, namespace: b}\\nstringData: {a: hunter2}\\n' > s.yaml",
        "sealant seal s.yaml" => ["sealant init"], Shown;
    "updatekeys without a file": "true",
        "sealant updatekeys" => ["sealant updatekeys ."], Shown;
    "rewrap without a file": "true",
        "sealant rewrap" => ["sealant rewrap ."], Shown;
    "recipients without a config": "git rm -q .sops.yaml; git commit -qm none",
        "sealant recipient list" => ["sealant init"], Gone;
    "a file of another recipient": "echo 'a: 1' > secrets/two.yaml; sealant encrypt -i --age $RECIPIENT,$STRANGER secrets/two.yaml",
        "sealant set --string secrets/two.yaml a 2 && sealant rotate -i secrets/two.yaml" => ["sealant rotate -i --rm-age age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd secrets/two.yaml"], Gone;
    "a file that is not for its reader": "sed -i \"s/age: .*/age: $STRANGER/\" .sops.yaml; git commit -qam x",
        "sealant explain secrets/db.yaml" => ["sealant updatekeys secrets/db.yaml"], Shown;
    "edit of plaintext": "echo 'a: 1' > secrets/new.yaml",
        "sealant edit secrets/new.yaml" => ["sealant encrypt -i secrets/new.yaml"], Shown;
    "no identity": "rm ~/.config/sops/age/keys.txt",
        "sealant decrypt secrets/db.yaml" => ["sealant init"], Shown;
    "no identity to print": "rm ~/.config/sops/age/keys.txt",
        "sealant keygen -y" => ["sealant keygen --default"], Gone;
    "doctor without an identity": "rm ~/.config/sops/age/keys.txt",
        "sealant doctor" => ["sealant init"], Shown;
    "doctor without Git's drivers": "echo '*.yaml diff=sealant merge=sealant' > .gitattributes",
        "sealant doctor" => ["sealant git install"], Gone;
    "no topic of help": "true",
        "sealant help nonsense" => ["sealant help exit-codes"], Shown;
];
