//! The in-cluster controller. For now it only says which version it is.

fn main() {
    println!("sealant-controller {}", env!("CARGO_PKG_VERSION"));
}
