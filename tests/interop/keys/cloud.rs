//! What the tests of keys in clouds share: both programs before a server that stands in for a cloud.

use sealant_test_support::{AzureKv, GcpKms, HuaweiKms, Output, PLANTED, Run, Sandbox};

/// A server that stands in for a cloud.
pub trait Cloud {
    /// A run that finds it, with credentials that it takes.
    fn reached_by(&self, run: Run) -> Run;
}

impl Cloud for AzureKv {
    fn reached_by(&self, run: Run) -> Run {
        self.serve(run)
    }
}

impl Cloud for GcpKms {
    fn reached_by(&self, run: Run) -> Run {
        self.serve(run)
    }
}

impl Cloud for HuaweiKms {
    fn reached_by(&self, run: Run) -> Run {
        self.serve(run)
    }
}

/// One of the two programs, with these arguments.
pub type By<C> = fn(&C, &Sandbox, &[&str]) -> Run;

pub fn ours<C: Cloud>(cloud: &C, test: &Sandbox, args: &[&str]) -> Run {
    cloud.reached_by(test.sealant(args))
}

pub fn theirs<C: Cloud>(cloud: &C, test: &Sandbox, args: &[&str]) -> Run {
    cloud.reached_by(test.sops(args))
}

pub fn both_open<C: Cloud>(cloud: &C, test: &Sandbox, file: &str, plain: &str) {
    for open in [ours::<C>, theirs::<C>] {
        assert_eq!(open(cloud, test, &["decrypt", file]).run().ok().text(), plain, "{file}");
    }
}

/// An error, with these words and without a secret.
#[track_caller]
pub fn says(output: Output, words: &[&str]) {
    let output = output.code(128);
    for word in words {
        assert!(output.stderr.contains(word), "{word}: {}", output.stderr);
    }
    let all = format!("{}{}", output.text(), output.stderr);
    assert!(!all.contains(PLANTED) && !all.contains("hunter2"), "{all}");
}
