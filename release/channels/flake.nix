# Sealant @VERSION@ for Nix: the released programs, by their SHA-256. release/pin fills in what is between the signs.
{
  description = "Sealant: secrets in Git, encrypted, byte for byte";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      archives = {
        x86_64-linux = "@SHA256:sealant-@VERSION@-x86_64-linux.tar.gz@";
        aarch64-linux = "@SHA256:sealant-@VERSION@-aarch64-linux.tar.gz@";
      };
    in
    {
      packages = builtins.mapAttrs
        (system: sha256:
          let pkgs = nixpkgs.legacyPackages.${system};
          in {
            default = pkgs.stdenvNoCC.mkDerivation {
              pname = "sealant";
              version = "@VERSION@";
              src = pkgs.fetchurl {
                url = "@SERVER@/sealant-@VERSION@-${system}.tar.gz";
                inherit sha256;
              };
              # A static program: there is nothing to patch.
              dontStrip = true;
              dontPatchELF = true;
              installPhase = ''
                mkdir -p $out
                cp -r bin share $out/
              '';
              meta = {
                homepage = "@REPOSITORY@";
                license = with pkgs.lib.licenses; [ mit asl20 ];
                mainProgram = "sealant";
                platforms = builtins.attrNames archives;
                sourceProvenance = [ pkgs.lib.sourceTypes.binaryNativeCode ];
              };
            };
          })
        archives;
    };
}
