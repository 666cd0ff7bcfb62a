//! The rows of the table.

use std::fmt;
use std::time::{Duration, Instant};

use sealant::keys::MasterKey;
use sealant::sealed_secret::Options;
use sealant_test_support::{ApiRequest, Bao};

use crate::common::client::sealed_at;
use crate::common::peer::Peer;
use crate::common::{Controller, identity, json, seal_for, seal_with, secret, vault};
use crate::fake::Fake;
use crate::peer::{self, AT_ITS_BEST, named};
use crate::world::{OWN, Program, SPACE, Usage, World, items, usage, wait_until_idle};

/// A row by its name, or several.
type Measure = fn() -> Vec<Row>;

pub const ROWS: [(&str, Measure); 8] = [
    ("cold", cold),
    ("bitnami", bitnami),
    ("many", many),
    ("identities", identities),
    ("transit", transit),
    ("peer-defaults", peer_defaults),
    ("huge-cold", huge_cold),
    ("huge-settled", huge_settled),
];

/// How long the peer may take for a row. At its defaults it makes five requests in a second.
const PATIENCE: Duration = Duration::from_secs(1800);

/// How many objects.
fn objects() -> usize {
    number("SEALANT_BENCH_OBJECTS", 1000)
}

fn many_objects() -> usize {
    number("SEALANT_BENCH_MANY", 5000)
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

fn huge() -> Vec<usize> {
    let text = std::env::var("SEALANT_BENCH_HUGE").unwrap_or_else(|_| "20000,100000".to_owned());
    text.split(',').map(|number| number.parse().expect("SEALANT_BENCH_HUGE")).collect()
}

/// One line of the table.
pub struct Row {
    what: String,
    who: &'static str,
    seconds: Duration,
    /// Of how many objects it is.
    objects: usize,
    usage: Option<Usage>,
    /// All requests, and how many of them write; none where nobody counted.
    requests: Option<(usize, usize)>,
}

impl Row {
    pub const HEAD: &str = "| what | by | seconds | CPU per object | requests per object | of them writes | peak memory | memory after |\n|---|---|---|---|---|---|---|---|\n";

    fn new(what: impl Into<String>, who: &'static str, seconds: Duration, objects: usize) -> Self {
        Self { what: what.into(), who, seconds, objects, usage: None, requests: None }
    }

    /// With what a program has used since it was at `before`.
    fn used(self, program: &impl Program, before: Duration) -> Self {
        let mut used = usage(program.pid());
        used.cpu -= before;
        Self { usage: Some(used), ..self }
    }

    fn asked(self, requests: &[ApiRequest]) -> Self {
        // It holds the Lease all the time, however much there is to do.
        let requests: Vec<_> = requests.iter().filter(|request| request.resource != "leases").collect();
        let writes = requests.iter().filter(|request| request.is_write()).count();
        Self { requests: Some((requests.len(), writes)), ..self }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, who, seconds, objects, usage, requests } = self;
        let seconds = match seconds.as_secs_f64() {
            seconds @ 10.0.. => format!("{seconds:.0}"),
            seconds @ 1.0.. => format!("{seconds:.1}"),
            seconds => format!("{seconds:.2}"),
        };
        let per_object = |count: usize| format!("{:.2}", count as f64 / (*objects).max(1) as f64);
        let cpu = usage
            .as_ref()
            .map(|usage| format!("{:.2} ms", usage.cpu.as_secs_f64() * 1000.0 / (*objects).max(1) as f64));
        let megabytes = |memory: u64| format!("{memory} MB");
        let or_none = |text: Option<String>| text.unwrap_or_default();
        writeln!(
            f,
            "| {what} | {who} | {seconds} | {} | {} | {} | {} | {} |",
            or_none(cpu),
            or_none(requests.map(|(all, _)| per_object(all))),
            or_none(requests.map(|(_, writes)| per_object(writes))),
            or_none(usage.as_ref().map(|usage| megabytes(usage.peak_mb))),
            or_none(usage.as_ref().map(|usage| megabytes(usage.now_mb))),
        )
    }
}

const FLOOR: &str = "a client that makes the same writes";
const OURS: &str = "sealant";
const PEER: &str = "sealed-secrets, `--kubeclient-qps=-1`";
const PEER_AS_IT_IS: &str = "sealed-secrets, at its defaults";

/// From cold, then drifts.
fn cold() -> Vec<Row> {
    let count = objects();
    let what = format!("{count} objects of 3 items, from cold");
    let mut rows = vec![Row::new(&what, FLOOR, World::new().floor(count), count)];
    let world = World::new();
    world.seal(count);
    let (controller, row) = ours(&world, &what, count, &[]);
    rows.push(row);
    let drifts = 100.min(count);
    let drifted = format!("{drifts} of these Secrets deleted at once, until all are back");
    let drift = |world: &World, program: &dyn Fn() -> Usage, who| {
        let before = program().cpu;
        let took = world.drift(drifts);
        let mut row = Row::new(&drifted, who, took, drifts);
        let mut used = program();
        used.cpu -= before;
        row.usage = Some(used);
        row
    };
    let first = drift(&world, &|| usage(Program::pid(&controller)), OURS);
    drop((controller, world));

    let world = peers_world();
    peer::seal(&world, count);
    let (peer, row) = the_peer(&world, &what, count, PEER, &AT_ITS_BEST);
    rows.extend([row, first, drift(&world, &|| usage(peer.pid()), PEER)]);
    rows
}

/// Objects of bitnami.com, by us and by their own controller: from cold, a restart, and what we do where theirs has made everything.
fn bitnami() -> Vec<Row> {
    let count = objects();
    let what = format!("{count} objects of bitnami.com of 3 items, from cold");
    let restart = format!("a restart with these {count}, until it has nothing to do");
    let taken = format!("a start after their controller has made these {count}, until it has nothing to do");
    let flags = ["--bitnami".to_owned()];
    let sealed_world = || {
        let world = peers_world();
        world.let_look_after_bitnami();
        peer::seal(&world, count);
        world
    };

    let world = sealed_world();
    let begun = Instant::now();
    let controller = world.start(&flags);
    let end = world.wait_for_secrets(count, PATIENCE).expect("all are made");
    wait_until_idle(Program::pid(&controller));
    let row = Row::new(&what, OURS, end - begun, count).used(&controller, Duration::ZERO);
    let mut rows = vec![row.asked(&controller.requests(&world))];
    let mut restarts = vec![restarted(&world, controller, || world.start(&flags), &restart, OURS, count)];
    drop(world);

    let world = sealed_world();
    let (peer, row) = the_peer(&world, &what, count, PEER, &AT_ITS_BEST);
    rows.push(row);
    restarts.push(restarted(&world, peer, || world.start_peer(&AT_ITS_BEST), &restart, PEER, count));
    let begun = Instant::now();
    let controller = world.start(&flags);
    let end = wait_until_idle(Program::pid(&controller));
    let row = Row::new(taken, OURS, end.max(begun) - begun, count).used(&controller, Duration::ZERO);
    rows.extend(restarts);
    rows.push(row.asked(&controller.requests(&world)));
    rows
}

/// As the peer is unless somebody knows its flags.
fn peer_defaults() -> Vec<Row> {
    let count = objects();
    let world = peers_world();
    peer::seal(&world, count);
    vec![the_peer(&world, &format!("{count} objects of 3 items, from cold"), count, PEER_AS_IT_IS, &[]).1]
}

/// Five thousand among foreign Secrets, one more in their midst, and a restart.
fn many() -> Vec<Row> {
    let count = many_objects();
    let what = format!("{count} objects of 3 items, from cold, and {} Secrets of others", 2 * count);
    let late = "one new object while that runs, until its Secret is there";
    let restart = format!("a restart with these {count}, until it has nothing to do");
    let mut rows = vec![Row::new(&what, FLOOR, World::new().floor(count), count)];

    let world = World::new();
    world.add_foreign(2 * count);
    world.seal(count);
    let body = json(&seal_for(&secret(SPACE, "late", &items()), &Options::default(), keys(&world)));
    let (controller, row, took) =
        with_late(&world, || world.start(&[]), &what, OURS, count, (sealed_at(SPACE), body));
    world.wait_for_statuses(&controller, count + 1);
    rows.push(row);
    let mut lates = vec![Row::new(late, OURS, took, 1)];
    let mut restarts = vec![restarted(&world, controller, || world.start(&[]), &restart, OURS, count)];
    drop(world);

    let world = peers_world();
    world.add_foreign(2 * count);
    peer::seal(&world, count);
    let body = named(&peer::template(&world), "late");
    let start = || world.start_peer(&AT_ITS_BEST);
    let (peer, row, took) = with_late(&world, start, &what, PEER, count, (peer::at(), body));
    rows.push(row);
    lates.push(Row::new(late, PEER, took, 1));
    restarts.push(restarted(&world, peer, start, &restart, PEER, count));
    rows.extend(lates);
    rows.extend(restarts);
    rows
}

fn keys(world: &World) -> Vec<MasterKey> {
    vec![MasterKey::Age(world.identity.recipient.clone())]
}

/// What it costs that the identity is the last of ten, and all ten are at hand.
fn identities() -> Vec<Row> {
    let count = objects();
    let measured = |others: usize| {
        let world = World::new();
        (0..others).for_each(|index| world.give(&format!("other{index}"), &identity()));
        world.seal(count);
        ours(&world, &format!("{count} from cold, with age identities: {}", others + 1), count, &[]).1
    };
    vec![measured(0), measured(9)]
}

/// With a transit key of a real OpenBao.
fn transit() -> Vec<Row> {
    let count = objects();
    let world = World::new();
    let bao = vault::set_up(&world.cluster, Bao::start(), OWN, "bench");
    let flags = vault::flags(&world.cluster, &bao, OWN);
    world.fill(sealed_at(SPACE), count, |name| {
        json(&seal_with(&secret(SPACE, name, &items()), vault::new_key(&bao)))
    });
    let row = ours(&world, "", count, &flags).1;
    let asked = bao.requests_to("transit/decrypt").len();
    vec![Row { what: format!("{count} from cold, with a transit key: {asked} requests to OpenBao"), ..row }]
}

/// The controller from cold until there is nothing to do, and it.
fn ours(world: &World, what: &str, count: usize, flags: &[String]) -> (Controller, Row) {
    let start = Instant::now();
    let controller = world.start(flags);
    let end = world.wait_for_secrets(count, PATIENCE).expect("all are made");
    world.wait_for_statuses(&controller, count);
    wait_until_idle(Program::pid(&controller));
    let row = Row::new(what, OURS, end - start, count).used(&controller, Duration::ZERO);
    let row = row.asked(&controller.requests(world));
    (controller, row)
}

fn peers_world() -> World {
    let world = World::new();
    Peer::install(&world.cluster);
    peer::make_key(&world);
    world
}

fn the_peer(world: &World, what: &str, count: usize, who: &'static str, flags: &[&str]) -> (Peer, Row) {
    let before = world.cluster.requests_of("kube-system", "sealed-secrets-controller").len();
    let start = Instant::now();
    let peer = world.start_peer(flags);
    let end = world.wait_for_secrets(count, PATIENCE).expect("all are made in half an hour");
    wait_until_idle(peer.pid());
    let row = Row::new(what, who, end - start, count).used(&peer, Duration::ZERO);
    let row = row.asked(&peer.requests(world)[before..]);
    (peer, row)
}

/// From cold, with one more object when a fifth is done.
fn with_late<P: Program>(
    world: &World,
    start: impl FnOnce() -> P,
    what: &str,
    who: &'static str,
    count: usize,
    (at, body): (String, String),
) -> (P, Row, Duration) {
    let begun = Instant::now();
    let program = start();
    world.wait_for_secrets(count / 5, PATIENCE).expect("a fifth is made");
    let late = world.time_to_secret(at, body, "late");
    let end = world.wait_for_secrets(count + 1, PATIENCE).expect("all are made");
    wait_until_idle(program.pid());
    let row = Row::new(what, who, end - begun, count).used(&program, Duration::ZERO);
    let row = row.asked(&program.requests(world));
    (program, row, late)
}

/// Ends it, starts it again, and waits until it has nothing to do.
fn restarted<P: Program>(
    world: &World,
    program: P,
    start: impl FnOnce() -> P,
    what: &str,
    who: &'static str,
    count: usize,
) -> Row {
    let before = program.requests(world).len();
    drop(program);
    let begun = Instant::now();
    let program = start();
    let end = wait_until_idle(program.pid());
    let row = Row::new(what, who, end.max(begun) - begun, count).used(&program, Duration::ZERO);
    row.asked(&program.requests(world)[before..])
}

/// Everything new, on an API server that does no work of its own.
fn huge_cold() -> Vec<Row> {
    let measured = |count: usize| {
        let fake = Fake::start(count, false);
        let start = Instant::now();
        let controller = fake.start_controller();
        while fake.statuses() < count {
            std::thread::sleep(Duration::from_millis(20));
        }
        let took = start.elapsed();
        let what = format!("{count} objects from cold, on a stand-in for the API server");
        Row::new(what, OURS, took, count).used(&controller, Duration::ZERO)
    };
    huge().into_iter().map(measured).collect()
}

/// Everything right.
fn huge_settled() -> Vec<Row> {
    let measured = |count: usize| {
        let fake = Fake::start(count, true);
        let start = Instant::now();
        let controller = fake.start_controller();
        let end = wait_until_idle(Program::pid(&controller));
        assert_eq!(fake.statuses(), 0, "what is right is not written");
        let what = format!("a start with {count} that are right, on a stand-in for the API server");
        Row::new(what, OURS, end - start, count).used(&controller, Duration::ZERO)
    };
    huge().into_iter().map(measured).collect()
}
