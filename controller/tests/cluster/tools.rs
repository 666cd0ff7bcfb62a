//! What other tools do to our objects in the course of their work: apply them in turn, and write metadata that not
//! every reader can take.

use super::*;

/// An item that Git drops is gone, also when another tool than the last one has applied it: its data key goes with it,
/// and without one it would spoil all the others.
#[test]
fn an_item_that_git_drops_goes_whichever_tool_had_applied_it() {
    let place = place("managers");
    let apply = |sealed: &SealedSecret, manager: &str| {
        let args = ["apply", "--server-side", "--force-conflicts", "--field-manager", manager, "-f", "-"];
        place.world.cluster.kubectl(&args).stdin(json(sealed)).run().ok();
    };
    apply(&place.sealed("db", &[("a", "1"), ("b", "2")]), "kubectl");
    place.items("db", &[("a", "1"), ("b", "2")]);
    apply(&place.sealed("db", &[("a", "3")]), "argocd-controller");
    place.items("db", &[("a", "3")]);
    place.reason("db", "Unsealed");
}
