use sealant::{document::*, secret::*, sops::*};
use std::path::Path;
fn main() {
    let (mut same, mut diff, mut bad) = (0, 0, 0);
    for f in std::env::args().skip(1) {
        let p = Path::new(&f);
        let hexp = format!("{f}.datakey.hex");
        let hexp = if Path::new(&hexp).exists() { hexp } else { hexp.replace("repo-rekeyed-age", "repo") };
        let Ok(hex) = std::fs::read_to_string(&hexp) else { continue };
        let key: Vec<u8> =
            (0..32).map(|i| u8::from_str_radix(&hex.trim()[2 * i..2 * i + 2], 16).unwrap()).collect();
        let key = DataKey::from_slice(&key).unwrap();
        let mut fmt = Format::of_path(p);
        let plain = std::fs::read(format!("{f}.plain").replace("repo-rekeyed-age", "repo")).unwrap();
        let check = if f.contains("no_mac") { MacCheck::Ignore } else { MacCheck::Verify };
        let r = Encrypted::parse(fmt, SecretBytes::new(std::fs::read(&f).unwrap()))
            .and_then(|e| e.decrypt(&key, check));
        match r {
            Ok(t) => {
                if *t.bytes == plain {
                    same += 1
                } else {
                    diff += 1;
                    println!("DIFF {f}");
                    std::fs::write("/tmp/va", &*t.bytes).unwrap();
                    std::fs::write("/tmp/vb", &plain).unwrap();
                    let o = std::process::Command::new("diff")
                        .args(["-u", "/tmp/vb", "/tmp/va"])
                        .output()
                        .unwrap();
                    print!(
                        "{}",
                        String::from_utf8_lossy(&o.stdout)
                            .lines()
                            .skip(2)
                            .take(30)
                            .map(|l| format!("   {l}\n"))
                            .collect::<String>()
                    );
                }
                for w in t.warnings {
                    println!("   W {f} {w}")
                }
            }
            Err(e) => {
                bad += 1;
                println!("BAD {f}: {e}")
            }
        }
    }
    println!("same {same} diff {diff} bad {bad}");
}
