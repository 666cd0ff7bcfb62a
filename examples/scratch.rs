use sealant::{config::Selection, document::*, keys::*, secret::*, sops::*};
use std::io::Read;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let fmt = Format::from_name(&a[1]).unwrap();
    let sel = if a.len() > 3 { Selection::from_field(&a[2], &a[3]).unwrap() } else { Selection::default() };
    let mut b = vec![];
    std::io::stdin().read_to_end(&mut b).unwrap();
    let key = DataKey::from_slice(&[7; 32]).unwrap();
    let k = MasterKey::Age(Recipient::as_written("age1x"));
    let m = Metadata::new(
        WrappedDataKey {
            groups: vec![vec![WrappedKey { key: k, enc: "e\n".into(), entry: Default::default() }]],
            threshold: 0,
        },
        sel,
        a.len() > 4,
    );
    let d = match parse(fmt, SecretBytes::new(b), false) {
        Ok(d) => d,
        Err(e) => {
            println!("PARSE {e}");
            return;
        }
    };
    for i in 0..d.tree().len() {
        let _ = i;
    }
    match encrypt(&*d, m, &key, jiff::Timestamp::now(), None) {
        Ok(c) => {
            println!(
                "{}\n=== {:?}",
                String::from_utf8_lossy(&c.bytes)
                    .split('\n')
                    .map(|l| if l.len() > 150 {
                        format!("{}...{}", &l[..60], &l[l.len() - 20..])
                    } else {
                        l.to_string()
                    })
                    .collect::<Vec<_>>()
                    .join("\n"),
                c.warnings
            );
            let e = Encrypted::parse(fmt, SecretBytes::new(c.bytes)).unwrap();
            let p = e.decrypt(&key, MacCheck::Verify).unwrap();
            println!("{}\n=== {:?}", String::from_utf8_lossy(&p.bytes), p.warnings);
        }
        Err(e) => println!("ERR {e} {:?}", e.advice()),
    }
}
