use sealant::document::*;
use sealant::secret::SecretBytes;
fn main() {
    let mut a = std::env::args().skip(1);
    let fmt = Format::from_name(&a.next().unwrap()).unwrap();
    let many = a.len() > 1;
    for f in a {
        if many {
            println!("FILE {f}");
        }
        let b = if f == "-" {
            let mut v = vec![];
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut v).unwrap();
            v
        } else {
            std::fs::read(&f).unwrap()
        };
        let d = match parse(fmt, SecretBytes::new(b), false) {
            Ok(d) => d,
            Err(e) => {
                println!("ERROR {e}");
                continue;
            }
        };
        let src = d.source();
        for (i, &root) in d.tree().documents().iter().enumerate() {
            if i > 0 {
                println!("---");
            }
            let r = d.tree().walk(src, root, &mut |path, step| {
                let p = path.join(":") + ":";
                match step {
                    Step::Comment(c) => {
                        let t = d.tree()[c].text.get(src);
                        if d.tree()[c].span.is_empty() {
                        } else {
                            println!("{p:?} comment {t:?}")
                        }
                    }
                    Step::Leaf { node, .. } => match d.value(node) {
                        Ok(v) => {
                            let k = match v.kind() {
                                None => {
                                    println!("{p:?} null");
                                    return Ok(());
                                }
                                Some(ValueKind::Str) => "string",
                                Some(ValueKind::Int) => "int",
                                Some(ValueKind::Float) => "float64",
                                Some(ValueKind::Bool) => "bool",
                                Some(k) => k.name(),
                            };
                            println!("{p:?} {k} {:?}", String::from_utf8_lossy(&v.to_plaintext()))
                        }
                        Err(e) => println!("{p:?} ERR {e}"),
                    },
                    _ => {}
                }
                Ok(())
            });
            if let Err(e) = r {
                println!("ERROR {e}")
            }
        }
    }
}
