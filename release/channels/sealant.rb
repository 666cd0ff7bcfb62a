# typed: strict
# frozen_string_literal: true

# The formula for Homebrew. release/pin fills in what is between the signs.
class Sealant < Formula
  desc "Secrets in Git, encrypted, byte for byte: replaces sops and kubeseal"
  homepage "@REPOSITORY@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on :linux

  on_linux do
    on_intel do
      url "@SERVER@/sealant-@VERSION@-x86_64-linux.tar.gz"
      sha256 "@SHA256:sealant-@VERSION@-x86_64-linux.tar.gz@"
    end
    on_arm do
      url "@SERVER@/sealant-@VERSION@-aarch64-linux.tar.gz"
      sha256 "@SHA256:sealant-@VERSION@-aarch64-linux.tar.gz@"
    end
  end

  def install
    bin.install "bin/sealant"
    man1.install Dir["share/man/man1/*"]
    bash_completion.install "share/bash-completion/completions/sealant"
    zsh_completion.install "share/zsh/site-functions/_sealant"
    fish_completion.install "share/fish/vendor_completions.d/sealant.fish"
    doc.install Dir["share/doc/sealant/*"]
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/sealant --version")
  end
end
