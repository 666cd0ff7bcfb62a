#!/bin/sh
# Installs the command line of Sealant @VERSION@ for one user, without root: sh install.sh --help
#
# The SHA-256 of each archive is in this script. If you trust the script, nothing else has to be trusted: an archive that
# differs is not unpacked.
{ # Half of a script, from a connection that broke, is not run.
set -eu
umask 022

version='@VERSION@'
server='@SERVER@'
sums='@SUMS@'
# Who signs a release: a workflow of the repository, at its tag, for which this server vouches.
signer='@SIGNER@'
issuer='@ISSUER@'
build='cargo install --locked --git @REPOSITORY@ sealant'
case $sums in @*) build='see docs/install.md' ;; esac

fail() { # WHAT, WHAT TO DO
    printf 'install.sh: error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf '%s\n' "$2" >&2
    exit 1
}
say() { printf '%s\n' "$*"; }
usage() {
    cat << 'END'
Installs the command line of Sealant @VERSION@ for one user, without root.

  sh install.sh                     into ~/.local: the program is ~/.local/bin/sealant
  sh install.sh --to DIR            into another folder
  sh install.sh --from DIR          take the archive from a folder, or, with https://, from another server
  sh install.sh --require-signature
                                    install nothing if cosign is not there, or cannot verify who signed the release
  sh install.sh --release VERSION --checksum SHA256 --from DIR
                                    install this release instead, whose SHA256SUMS has this SHA-256
  sh install.sh --uninstall         remove what it has installed

It needs tar, gzip, and sha256sum or shasum; and curl or wget, unless --from names a folder. If cosign is there, it also
verifies the signature of the release.
END
}
has() { command -v "$1" > /dev/null 2>&1; }

to=${HOME:+${HOME%/}/.local} from='' uninstall='' require='' pinned='' checksum=''
while [ $# -gt 0 ]; do
    case $1 in
        --to | --from | --release | --checksum)
            [ $# -ge 2 ] || fail "$1 takes a value" "sh install.sh --help lists the options."
            case $1 in
                --to) to=$2 ;;
                --from) from=$2 ;;
                --release) version=$2 pinned=1 ;;
                --checksum) checksum=$2 pinned=1 ;;
            esac
            shift 2
            ;;
        --uninstall) uninstall=1; shift ;;
        --require-signature) require=1; shift ;;
        -h | --help) usage; exit ;;
        *) fail "there is no option $1" "sh install.sh --help lists the options." ;;
    esac
done
[ -n "$to" ] || fail "HOME is not set" "Say where to install: sh install.sh --to DIR"
case $to in /*) ;; *) to=$PWD/$to ;; esac

# What was installed here, one path below $to a line: what an upgrade no longer has, and what --uninstall removes.
list=$to/share/sealant/installed

# remove_unless LIST: deletes what the list of the installed version has and LIST has not
remove_unless() {
    [ -f "$list" ] || return 0
    while IFS= read -r file; do
        case $file in
            bin/* | share/*) case /$file/ in */../*) continue ;; esac ;;
            *) continue ;;
        esac
        grep -Fqx -e "$file" "$1" || rm -f "$to/$file"
    done < "$list"
}

if [ -n "$uninstall" ]; then
    [ -f "$list" ] || fail "nothing is installed in $to by this script" "Say where it is: sh install.sh --uninstall --to DIR"
    remove_unless /dev/null
    rm -f "$list"
    rmdir "$to/share/sealant" "$to/share/doc/sealant" 2> /dev/null || :
    say "Removed sealant from $to. Your keys and configs are still there."
    exit
fi

if [ -n "$pinned" ]; then
    case $version in
        '' | *[!0-9A-Za-z.+-]*) fail "--release takes a version, such as 0.1.0, instead of '$version'" ;;
    esac
    case $checksum in *[!0-9a-f]*) checksum='' ;; esac
    [ ${#checksum} = 64 ] || fail "--checksum takes the SHA-256 of SHA256SUMS: 64 hexadecimal digits, in lower case" \
        "sha256sum SHA256SUMS prints it. Verify that file before you trust it."
    [ -n "$from" ] || fail "with --release and --checksum, --from has to say where the release is"
    signer=${signer%@refs/tags/*}@refs/tags/v$version
else
    case $sums in
        @*) fail "this is the script of a checkout, which knows no release" \
            "make release writes one into dist/: sh dist/install.sh --from dist" ;;
    esac
    from=${from:-$server}
fi
case $(uname -s)-$(uname -m) in
    Linux-x86_64 | Linux-amd64) platform=x86_64-linux ;;
    Linux-aarch64 | Linux-arm64) platform=aarch64-linux ;;
    *) platform=$(uname -m)-$(uname -s) ;;
esac
archive=sealant-$version-$platform.tar.gz
know_the_sum() {
    expected=$(say "$sums" | sed -n "s/^\([0-9a-f]\{64\}\)  $archive\$/\1/p")
    [ -n "$expected" ] || fail "there is no program for $(uname -s) on $(uname -m) in this release" \
        "With Rust you can build it: $build"
}
[ -n "$pinned" ] || know_the_sum

# Beside the places of the files, so that each is put there by a rename, and a program that runs is never written to.
mkdir -p "$to"
work=$(mktemp -d "$to/.sealant.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# fetch NAME: from the folder or the server
fetch() {
    case $from in
        https://*)
            if has curl; then
                curl --fail --silent --show-error --location --proto =https --connect-timeout 20 --max-time 600 \
                    --output "$work/$1" -- "$from/$1"
            elif has wget; then
                wget -q -T 60 -O "$work/$1" "$from/$1"
            else
                fail "neither curl nor wget is there" "Install one, or copy $archive here and run: sh install.sh --from ."
            fi || fail "$from/$1 cannot be downloaded" "With the file in a folder: sh install.sh --from DIR"
            ;;
        *://*) fail "$from is not an address with https://" ;;
        *) cp -- "$from/$1" "$work/$1" 2> /dev/null || fail "$from/$1 cannot be read" ;;
    esac
}

# verify NAME SHA256 WHAT-TO-DO: what was fetched has this sum
verify() {
    if has sha256sum; then
        found=$(sha256sum < "$work/$1")
    elif has shasum; then
        found=$(shasum -a 256 < "$work/$1")
    else
        fail "neither sha256sum nor shasum is there, so the archive cannot be verified" "Install coreutils."
    fi
    found=${found%% *}
    [ "$found" = "$2" ] || fail "$1 from $from is not the one of this release: its SHA-256 is
  $found instead of
  $2" "Nothing was installed. $3"
}

verified="the SHA-256 of $archive is the one in this script"
if [ -n "$pinned" ]; then
    fetch SHA256SUMS
    verify SHA256SUMS "$checksum" "Give the checksum of this version, or get the files from where you trust them."
    sums=$(cat "$work/SHA256SUMS")
    case $sums in
        *"  sealant-$version-"*) know_the_sum ;;
        *) fail "SHA256SUMS from $from is not that of version $version" "Nothing was installed." ;;
    esac
    verified="the SHA-256 of $archive is the one in SHA256SUMS, and that of SHA256SUMS is the one that you gave"
fi
fetch "$archive"
verify "$archive" "$expected" "Get the archive again, and the script from where you trust it."

# A folder may hold a release that somebody has built, and nobody signed. A server has to have the signature.
if ! has cosign; then
    unsigned="cosign is not there, so nobody has verified who signed this release"
elif [ "${signer#@}" != "$signer" ]; then
    unsigned="the script of a checkout does not know who signs a release"
elif [ ! -f "$from/SHA256SUMS.sigstore.json" ] && [ "$from" = "${from#https://}" ]; then
    unsigned="$from has no SHA256SUMS.sigstore.json, so this release is not signed"
else
    fetch SHA256SUMS
    fetch SHA256SUMS.sigstore.json
    cosign verify-blob --bundle "$work/SHA256SUMS.sigstore.json" --certificate-identity "$signer" \
        --certificate-oidc-issuer "$issuer" "$work/SHA256SUMS" > "$work/said" 2>&1 ||
        fail "cosign does not accept the signature of SHA256SUMS from $from:
$(cat "$work/said")" "Nothing was installed. The signer has to be $signer."
    grep -Fqx -e "$expected  $archive" "$work/SHA256SUMS" ||
        fail "what was signed is another release: SHA256SUMS from $from has another $archive" "Nothing was installed."
    unsigned='' verified="$verified, and it was signed by $signer"
fi
[ -z "$require" ] || [ -z "$unsigned" ] ||
    fail "$unsigned" "Nothing was installed. Without --require-signature, the SHA-256 alone is verified."

mkdir "$work/new"
tar -xzf "$work/$archive" -C "$work/new"
root=$work/new/${archive%.tar.gz}
"$root/bin/sealant" --version > /dev/null || fail "the program does not run on this machine" "Nothing was installed."
(cd "$root" && find . -type f | sed 's|^\./||' | LC_ALL=C sort) > "$work/list"

while IFS= read -r file; do
    case $file in */*) folder=$to/${file%/*} ;; *) fail "$archive has $file outside of its folders" ;; esac
    mkdir -p "$folder"
    mv -f "$root/$file" "$to/$file"
done < "$work/list"
remove_unless "$work/list"
mkdir -p "$to/share/sealant"
mv -f "$work/list" "$list"

say "Installed sealant $version: $to/bin/sealant
Verified: $verified.
${unsigned:+Not verified: $unsigned.
}With it came manual pages, completions for bash, zsh and fish, and licences in $to/share."
say "To remove all of this: sh install.sh --uninstall --to '$to'"
first=$(command -v sealant || :)
if [ "$first" != "$to/bin/sealant" ]; then
    if [ -n "$first" ]; then say "But the shell finds $first first. Put $to/bin in front of it:"
    else say "The shell does not find it there yet:"; fi
    # shellcheck disable=SC2016
    say "  export PATH=\"$to/bin:\$PATH\""
fi
exit
}
