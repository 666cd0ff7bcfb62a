use sealant::{
    config::Selection,
    document::{self, *},
    keys::*,
    secret::*,
    sops::*,
};
use std::path::Path;
fn main() {
    let key = DataKey::generate();
    let rec: Recipient = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun".parse().unwrap();
    let host = sealant::host::Closed;
    let svc = KeyService::new(&host, Identities::none());
    let set = KeySet::any_of(vec![MasterKey::Age(rec)]);
    let groups = pollster::block_on(svc.wrap_many(&[(&key, &set)])).pop().unwrap().unwrap();
    let outdir = std::env::var("OUT").ok();
    let (mut ok, mut bad, mut err) = (0, 0, 0);
    for f in std::env::args().skip(1) {
        let fmt = Format::of_path(Path::new(&f));

        let bytes = std::fs::read(&f).unwrap();
        let d = match document::parse(fmt, SecretBytes::new(bytes.clone()), false) {
            Ok(d) => d,
            Err(e) => {
                println!("{f}: PARSE {e}");
                err += 1;
                continue;
            }
        };
        let m = Metadata::new(
            WrappedDataKey { groups: groups.clone(), threshold: 0 },
            Selection::default(),
            false,
        );
        match encrypt(&*d, m, &key, jiff::Timestamp::now(), None) {
            Ok(c) => {
                if c.warnings.is_empty() {
                    ok += 1
                } else {
                    bad += 1;
                    println!("{f}: {:?}", c.warnings)
                }
                if let Some(o) = &outdir {
                    std::fs::write(
                        format!("{o}/{}", Path::new(&f).file_name().unwrap().to_str().unwrap()),
                        &c.bytes,
                    )
                    .unwrap();
                }
            }
            Err(e) => {
                err += 1;
                println!("{f}: ERR {e} / {:?}", e.advice())
            }
        }
    }
    println!("ok {ok} bad {bad} err {err}");
}
