//! One namespace writes whatever costs most, all at once and all the time, and no other one feels it.

use std::process::Command;

use crate::common::client::{Answer, Asked, Bare, sealed_at};
use sealant_test_support::Peers;
use serde_json::{Value, json};

use super::*;

/// How many of each shape: 500 together.
const LARGE: usize = 12;
const WRAPPED: usize = 20;
const STANZAS: usize = 168;
const ODD_TIMES: usize = 100;
const FLAPPING: usize = 200;

/// How long another's new object may take. Where the API server shares its cores with other tests, it alone takes that long
/// to store the largest objects and to tell of them; one that waited for all of them would take minutes there.
const SOON: Duration = Duration::from_secs(5);
const SOON_ON_A_BUSY_MACHINE: Duration = Duration::from_secs(60);

/// What a controller may take of memory.
const MOST_MB: u64 = 128;

/// A namespace of somebody who writes the worst, and that of somebody who wants a Secret.
struct World {
    place: Tenant,
    other: String,
    identity: NewIdentity,
    client: Bare,
}

#[test]
fn a_hostile_namespace_keeps_no_other_waiting_and_fills_no_memory() {
    let world = World::new();
    let (a, b) = (world.place.start("a"), world.place.start("b"));
    world.place.wait_for_holder("a", LIMIT);
    let mut rounds = vec![world.round("idle")];
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| world.write_the_worst());
        let mut quiet = 0;
        while quiet < 3 {
            rounds.push(world.round(&format!("r{}", rounds.len())));
            quiet += usize::from(writer.is_finished());
        }
    });
    world.wait_for_verdicts();

    rounds.sort();
    let (typical, slowest) = (rounds[rounds.len() / 2], rounds[rounds.len() - 1]);
    let peaks = [&a, &b].map(|controller| controller.peak_memory() >> 10);
    eprintln!("{} new objects of another: {typical:.1?}, {slowest:.1?} at most", rounds.len());
    eprintln!("memory at most: {peaks:?} MB");
    assert!(typical < SOON, "{rounds:.1?}");
    assert!(slowest < SOON_ON_A_BUSY_MACHINE, "{rounds:.1?}");
    assert!(peaks.iter().all(|peak| *peak < MOST_MB), "{peaks:?} MB");
    for controller in [&a, &b] {
        assert_eq!(controller.metric("sealant_panics_total", ""), 0.0);
        assert_eq!(controller.metric("sealant_unreadable_total", ""), 0.0);
    }
}

impl World {
    fn new() -> Self {
        let place = Tenant::apart(&CLUSTER, "hostile");
        let other = CLUSTER.new_namespace("bystander");
        place.open(&other);
        let identity = identity();
        place.give(&identity);
        let place = place.watching(&other);
        Self { place, other, identity, client: Bare::new(&CLUSTER.kubeconfig()) }
    }

    fn sealed(&self, namespace: &str, name: &str, value: &str) -> Value {
        let sealed = seal(&secret(namespace, name, &[("a", value)]), &self.identity);
        serde_json::from_str(&json(&sealed)).unwrap()
    }

    /// How long a new object of the other namespace takes until it is ready.
    fn round(&self, name: &str) -> Duration {
        let sealed = self.sealed(&self.other, name, "1").to_string();
        let start = Instant::now();
        self.client.ask(Asked::create(sealed_at(&self.other), sealed)).unwrap();
        let at = format!("{}/{name}", sealed_at(&self.other));
        wait_until(|| condition(&self.client.ask(Asked::get(&at)).unwrap(), "Ready")["status"] == "True");
        start.elapsed()
    }

    /// 500 objects, no two of which the controller can take for one.
    fn write_the_worst(&self) {
        let at = sealed_at(&self.place.namespace);
        let create = |object: &Value| Asked::create(at.clone(), object.to_string());
        // They are made while they are sent: together they are as large as all memory.
        let (large, wrapped) = (self.large(), self.wrapped());
        let large = (0..LARGE).map(|index| create(&named(&large, &format!("large{index}"))));
        let wrapped = (0..WRAPPED).map(|index| {
            let mut object = named(&wrapped, &format!("wrapped{index}"));
            object["spec"]["dataKeys"][0]["age"].as_array_mut().unwrap().rotate_left(index + 1);
            create(&object)
        });
        let stanzas = (0..STANZAS).map(|index| create(&self.with_stanzas(index)));
        let small = |prefix: &'static str, count: usize| {
            (0..count).map(move |index| {
                create(&self.sealed(&self.place.namespace, &format!("{prefix}{index}"), "1"))
            })
        };
        let all = large.chain(wrapped).chain(stanzas);
        let all = all.chain(small("times", ODD_TIMES)).chain(small("flapping", FLAPPING));
        assert_all(self.client.ask_all(16, all));
        self.spoil_times();
        for round in 0..4 {
            let flap = |index| {
                let label = json!({"metadata": {"labels": {"flap": round.to_string()}}});
                Asked::patch(format!("{at}/flapping{index}"), &label)
            };
            assert_all(self.client.ask_all(16, (0..FLAPPING).map(flap)));
        }
    }

    /// As long as an object may be, and it opens: in memory it is several times that.
    fn large(&self) -> Value {
        let most = "x".repeat((1 << 20) - 1);
        let options = Options { scope: Some(Scope::Cluster), ..Options::default() };
        let key = vec![MasterKey::Age(self.identity.recipient.clone())];
        let sealed = seal_for(&secret(&self.place.namespace, "x", &[("a", &most)]), &options, key);
        serde_json::from_str(&json(&sealed)).unwrap()
    }

    /// With as much to try as an object may have, all of it for strangers.
    fn wrapped(&self) -> Value {
        const WRAPS: usize = 2000;
        let strangers = (0..WRAPS).map(|_| MasterKey::Age(crate::common::identity().recipient)).collect();
        let sealed =
            seal_for(&secret(&self.place.namespace, "x", &[("a", "1")]), &Options::default(), strangers);
        serde_json::from_str(&json(&sealed)).unwrap()
    }

    /// With one age file for sixteen strangers, which says that it is for us.
    fn with_stanzas(&self, index: usize) -> Value {
        static FILE: LazyLock<String> = LazyLock::new(|| {
            let strangers =
                (0..16).flat_map(|_| ["-r".to_owned(), crate::common::identity().recipient.to_string()]);
            let mut age = Command::new(Peers::get().program("age"));
            let text = age.arg("--armor").args(strangers).arg("/dev/null").output().unwrap();
            String::from_utf8(text.stdout).unwrap()
        });
        let mut object = self.sealed(&self.place.namespace, &format!("stanzas{index}"), "1");
        let wraps = object["spec"]["dataKeys"][0]["age"].as_array_mut().unwrap();
        wraps[0]["enc"] = FILE.as_str().into();
        // So that it is another one to whoever remembers what does not open.
        let mut other = wraps[0].clone();
        other["recipient"] = crate::common::identity().recipient.to_string().into();
        wraps.push(other);
        object
    }

    /// Times that many programs cannot hold.
    fn spoil_times(&self) {
        let at = |index: usize| format!("{}/times{index}", sealed_at(&self.place.namespace));
        let spoil = |index: usize| {
            let mut object = self.client.ask(Asked::get(at(index))).unwrap();
            object["metadata"]["managedFields"][0]["time"] = "9999-12-31T23:59:59Z".into();
            object["metadata"]["labels"] = json!({"times": "odd"});
            self.client.ask(Asked::replace(at(index), object.to_string()))
        };
        for index in 0..ODD_TIMES {
            // The controller may have written its status in between.
            while let Err(code) = spoil(index) {
                assert_eq!(code, 409);
            }
        }
    }

    /// In the end each has what it deserves.
    fn wait_for_verdicts(&self) {
        let expected = |name: &str| match name.trim_end_matches(|letter: char| letter.is_ascii_digit()) {
            "wrapped" | "stanzas" => "NoIdentity",
            _ => "Unsealed",
        };
        let is_right = |line: &str| {
            let mut columns = line.split_whitespace();
            let (name, reason) = (columns.next().unwrap(), columns.nth(1));
            reason == Some(expected(name))
        };
        // As a table, for together their specs are large.
        wait_until(|| {
            sleep(Duration::from_secs(1));
            let args = ["get", SEALED, "-n", &self.place.namespace, "--no-headers"];
            let table = CLUSTER.kubectl_ok(&args);
            assert_eq!(table.lines().count(), LARGE + WRAPPED + STANZAS + ODD_TIMES + FLAPPING);
            table.lines().all(is_right)
        });
    }
}

fn named(template: &Value, name: &str) -> Value {
    let mut object = template.clone();
    object["metadata"]["name"] = name.into();
    object
}

fn assert_all(answers: Vec<Answer>) {
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(refused.is_empty(), "{refused:?}");
}
