//! A plugin of age, as `age-plugin-toy`: for the recipient `age1toy1w3hhjuepg65rsf` and the identity
//! `AGE-PLUGIN-TOY-1W3HHJUEP2JSC72`.

/// It "wraps" a file key by writing it down.
pub const AGE_PLUGIN_TOY: &str = r#"#!/bin/sh
stanza() {
    read -r arrow command args || exit 1
    body=
    while read -r line; do body=$body$line; [ ${#line} -eq 64 ] || break; done
}
key=
while stanza && [ "$command" != done ]; do
    case "$command $args" in
        "wrap-file-key "* | "recipient-stanza 0 toy"*) key=$body ;;
    esac
done
if [ -n "$key" ]; then
    case "$1" in
        *recipient-v1) printf -- '-> recipient-stanza 0 toy\n%s\n' "$key" ;;
        *identity-v1) printf -- '-> file-key 0\n%s\n' "$key" ;;
    esac
    stanza
fi
printf -- '-> done\n\n'
"#;
