use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
use tempfile::TempDir;

use super::atomic::{self, Step};
use super::*;
use crate::host::{self, Host};

const OLD: &[u8] = b"old";
const NEW: &[u8] = b"the new content";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// What is in a folder besides `a.yaml`.
fn others(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name() != Some(OsStr::new("a.yaml"))).collect()
}

/// A user without any rights.
const NOBODY: u32 = 65534;

/// This test program, to run one of the `in_child` tests by itself: for what a process cannot do to its siblings.
fn child(test: &str, argument: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture", &format!("fs::tests::{test}")])
        .env("SEALANT_TEST_CHILD", argument);
    command
}

/// The same, as a user for whom files can be read-only: as they never are for root. The folder holds a copy of the test
/// program, which that user may not reach where it is.
fn unprivileged_child(test: &str, argument: &Path) -> (Command, TempDir) {
    let programs = folder();
    let command = child(test, argument);
    if !rustix::process::geteuid().is_root() {
        return (command, programs);
    }
    let copy = programs.path().join("tests");
    fs::copy(command.get_program(), &copy).unwrap();
    fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut unprivileged = Command::new(copy);
    unprivileged.args(command.get_args()).env("SEALANT_TEST_CHILD", argument).uid(NOBODY).gid(NOBODY);
    (unprivileged, programs)
}

/// What the parent gave, in a child; `None` when the test is run as all others are, and has nothing to do.
fn in_child() -> Option<PathBuf> {
    std::env::var_os("SEALANT_TEST_CHILD").map(PathBuf::from)
}

mod reading {
    use super::*;

    #[test]
    fn a_file_is_read_whole() {
        let folder = folder();
        for size in [0, 1, 4096, 4097, 100_000] {
            let path = folder.path().join("a");
            fs::write(&path, vec![7; size]).unwrap();
            assert_eq!(**read(&path, 100_000).unwrap(), vec![7; size]);
        }
    }

    #[test]
    fn what_has_no_size_is_read_whole_too() {
        let folder = folder();
        let pipe = folder.path().join("pipe");
        let status = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(status.success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, vec![7; 100_000])
        });
        assert_eq!(read(&pipe, 1 << 20).unwrap().len(), 100_000);
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let folder = folder();
        let file = folder.path().join("a");
        fs::write(&file, [0; 11]).unwrap();
        symlink("nowhere", folder.path().join("link")).unwrap();
        let failure = |name: &str, limit| {
            let error = read(&folder.path().join(name), limit).unwrap_err();
            assert_eq!(error.file(), Some(folder.path().join(name).as_path()));
            (error.kind(), error.message().to_owned())
        };
        assert_eq!(failure("b", 1), (Kind::NoFile, "no such file".into()));
        assert_eq!(
            failure("link", 1),
            (Kind::NoFile, "no such file: it is a link to nowhere, which is not there".into())
        );
        assert_eq!(failure("", 1), (Kind::Read, "is a folder, not a file".into()));
        assert_eq!(
            failure("a", 10),
            (Kind::Read, "is larger than 10 bytes, the most that can be read".into())
        );
        assert!(read(&file, 11).is_ok());
    }

    #[test]
    fn a_file_that_is_nearly_called_so_is_named() {
        let folder = folder();
        fs::write(folder.path().join("secrets.yaml"), "a: 1").unwrap();
        fs::write(folder.path().join(".sops.yaml"), "").unwrap();
        symlink("nowhere", folder.path().join("link")).unwrap();
        let advice = |name: &str| {
            let error = read(&folder.path().join(name), 1).unwrap_err();
            error.advice().map(str::to_owned)
        };
        let there = format!("Did you mean {}?", folder.path().join("secrets.yaml").display());
        assert_eq!(advice("secret.yaml"), Some(there));
        for other in ["link", "values.yaml", "sopz.yaml", "nowhere/secret.yaml"] {
            assert_eq!(advice(other), None, "{other}");
        }
    }
}

mod writing {
    use super::*;

    #[test]
    fn a_new_file_is_private_or_public() {
        let folder = folder();
        let [private, public] = ["private", "public"].map(|name| folder.path().join(name));
        write_atomic(&private, NEW, Mode::Private).unwrap();
        write_atomic(&public, NEW, Mode::Public).unwrap();
        let probe = folder.path().join("probe");
        fs::write(&probe, "").unwrap();
        assert_eq!(mode(&private), 0o600);
        assert_eq!(mode(&public), mode(&probe) & 0o644, "less the umask");
        assert_eq!(fs::read(&public).unwrap(), NEW);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left beside them");
    }

    #[test]
    fn an_existing_file_keeps_its_mode_but_for_others_where_plaintext_comes() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        fs::write(&path, OLD).unwrap();
        for bits in [0o600, 0o664, 0o755, 0o640] {
            for (written, expected) in
                [(Mode::Public, bits), (Mode::PrivateIfNew, bits), (Mode::Private, bits & !0o007)]
            {
                fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
                write_atomic(&path, NEW, written).unwrap();
                assert_eq!(mode(&path), expected, "{written:?}");
            }
        }
    }

    #[test]
    fn root_keeps_the_owner_and_others_widen_nothing() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        fs::write(&path, OLD).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&path, Some(12345), Some(12346)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            write_atomic(&path, NEW, Mode::Public).unwrap();
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.uid(), found.gid(), mode(&path)), (12345, 12346, 0o640));
        }
        assert_eq!(os::for_another_group(0o660), 0o600);
        assert_eq!(os::for_another_group(0o664), 0o644);
        assert_eq!(os::for_another_group(0o604), 0o604);
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = folder();
        let [real, relative, chain, dangling] =
            ["sub/real", "relative", "sub/chain", "dangling"].map(|name| folder.path().join(name));
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(&real, OLD).unwrap();
        symlink("sub/chain", &relative).unwrap();
        symlink(&real, &chain).unwrap();
        symlink("sub/new", &dangling).unwrap();
        write_atomic(&relative, NEW, Mode::Private).unwrap();
        write_atomic(&dangling, NEW, Mode::Private).unwrap();
        for link in [&relative, &chain, &dangling] {
            assert!(fs::symlink_metadata(link).unwrap().is_symlink());
            assert_eq!(fs::read(link).unwrap(), NEW);
        }
        symlink("loop", folder.path().join("loop")).unwrap();
        let error = write_atomic(&folder.path().join("loop"), NEW, Mode::Private).unwrap_err();
        assert!(error.to_string().ends_with("too many links lead from one to the next"), "{error}");
    }

    #[test]
    fn what_is_no_regular_file_is_written_as_it_is() {
        write_atomic(Path::new("/dev/null"), NEW, Mode::Private).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let folder = folder();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write_atomic(&pipe, NEW, Mode::Private).unwrap();
        assert_eq!(reader.join().unwrap(), NEW);
        let error = write_atomic(folder.path(), NEW, Mode::Private).unwrap_err();
        assert_eq!(error.message(), "is a folder, and cannot be written as a file");
    }

    #[test]
    fn a_file_that_somebody_else_wrote_is_left_alone() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        let refused = |read: &Snapshot| {
            let error = write_atomic_if_unchanged(&path, NEW, Mode::Private, read).unwrap_err();
            assert_eq!((error.kind(), others(folder.path()).len()), (Kind::Write, 0));
            error.message().to_owned()
        };
        assert_eq!(
            refused(&Snapshot::of(OLD)),
            "was deleted by another program in the meantime, and was not written \
                                                 again"
        );
        assert!(!path.exists());
        fs::write(&path, "theirs").unwrap();
        assert_eq!(
            refused(&Snapshot::absent()),
            "was created by another program in the meantime, and was left \
                                                  alone"
        );
        assert_eq!(
            refused(&Snapshot::of(OLD)),
            "was changed by another program in the meantime, and was left alone"
        );
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        write_atomic_if_unchanged(&path, NEW, Mode::Private, &Snapshot::of(b"theirs")).unwrap();
        fs::remove_file(&path).unwrap();
        write_atomic_if_unchanged(&path, NEW, Mode::Private, &Snapshot::absent()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), NEW);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = folder();
        let error = write_atomic(&folder.path().join("x/a.yaml"), NEW, Mode::Public).unwrap_err();
        assert_eq!(error.message(), format!("the folder {}/x does not exist", folder.path().display()));
        assert!(error.advice().unwrap().starts_with("Make it first: `mkdir -p "));
    }

    #[test]
    fn the_longest_names_can_be_written() {
        let folder = folder();
        for name in ["n".repeat(255), "\u{e4}".repeat(127)] {
            write_atomic(&folder.path().join(name), NEW, Mode::Public).unwrap();
        }
    }

    #[test]
    fn what_is_read_only_is_refused_with_advice() {
        let folder = folder();
        let (file, locked) = (folder.path().join("a.yaml"), folder.path().join("locked"));
        fs::create_dir(&locked).unwrap();
        fs::write(&file, OLD).unwrap();
        fs::write(locked.join("a.yaml"), OLD).unwrap();
        let (mut command, _programs) = unprivileged_child("what_is_read_only_in_child", folder.path());
        if rustix::process::geteuid().is_root() {
            for path in [folder.path(), &file, &locked, &locked.join("a.yaml")] {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(fs::read(file).unwrap(), OLD);
    }

    #[test]
    fn a_limit_or_a_full_disk_leaves_the_old_file() {
        let folder = folder();
        fs::write(folder.path().join("a.yaml"), OLD).unwrap();
        let output = child("a_limit_in_child", folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(fs::read(folder.path().join("a.yaml")).unwrap(), OLD);
        assert_eq!(others(folder.path()), [] as [PathBuf; 0]);
    }
}

#[test]
fn what_is_read_only_in_child() {
    let Some(folder) = in_child() else { return };
    let write = |path: &Path| write_atomic(path, NEW, Mode::Private);
    for attempt in [&write as &dyn Fn(&Path) -> Result<()>, &check_writable] {
        let error = attempt(&folder.join("a.yaml")).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Write, "is read-only"));
        assert!(error.advice().unwrap().contains("chmod u+w"));
        let error = attempt(&folder.join("locked/a.yaml")).unwrap_err();
        assert_eq!(error.message(), format!("the folder {}/locked is read-only", folder.display()));
    }
}

#[test]
fn a_limit_in_child() {
    let Some(folder) = in_child() else { return };
    // The kernel's signal for it would end the process; with a handler the write fails, as on a full disk.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false))).unwrap();
    setrlimit(Resource::Fsize, Rlimit { current: Some(10_000), maximum: Some(10_000) }).unwrap();
    let error = write_atomic(&folder.join("a.yaml"), &[7; 20_000], Mode::Private).unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Write, "cannot be written"));
    assert!(error.advice().unwrap().starts_with("The file is unchanged."));
}

mod crashes {
    use super::*;

    const STEPS: [Step; 6] =
        [Step::Create, Step::Write, Step::Attributes, Step::Sync, Step::Rename, Step::SyncFolder];

    fn is_in_place(step: Step) -> bool {
        matches!(step, Step::Rename | Step::SyncFolder)
    }

    #[test]
    fn a_kill_after_each_step_leaves_the_old_or_the_new_file_whole() {
        for (number, step) in STEPS.into_iter().enumerate() {
            for old in [Some(OLD), None] {
                let folder = folder();
                let path = folder.path().join("a.yaml");
                if let Some(old) = old {
                    write_atomic(&path, old, Mode::Private).unwrap();
                }
                let status = child("killed_in_child", &path)
                    .env("SEALANT_TEST_STEP", number.to_string())
                    .stdout(Stdio::null())
                    .status()
                    .unwrap();
                assert_eq!(status.signal(), Some(9), "{step:?}");
                let expected = if is_in_place(step) { Some(NEW) } else { old };
                assert_eq!(fs::read(&path).ok().as_deref(), expected, "{step:?}");
                let leftovers = others(folder.path());
                assert_eq!(leftovers.len(), usize::from(!is_in_place(step)), "{step:?}");
                for leftover in leftovers {
                    assert!(is_leftover(&leftover), "{}", leftover.display());
                    assert_eq!(mode(&leftover), 0o600);
                }
                write_atomic(&path, OLD, Mode::Private).unwrap();
            }
        }
    }

    #[test]
    fn a_failure_after_each_step_leaves_no_traces() {
        for step in STEPS {
            let folder = folder();
            let path = folder.path().join("a.yaml");
            fs::write(&path, OLD).unwrap();
            let fail = &mut |done| if done == step { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) };
            let error = atomic::write(&path, NEW, Mode::Private, None, fail).unwrap_err();
            assert_eq!(error.kind(), Kind::Write);
            assert_eq!(fs::read(&path).unwrap(), if is_in_place(step) { NEW } else { OLD }, "{step:?}");
            assert_eq!(others(folder.path()), [] as [PathBuf; 0], "{step:?}");
        }
    }

    #[test]
    fn only_our_own_leftovers_are_taken_for_such() {
        assert!(is_leftover(Path::new("x/.a.yaml.sealant-Ab3dEf9x.tmp")));
        for other in ["a.sealant-x.tmp", ".a.tmp", ".sealant.yaml", ".a.sealant-x.tmp.bak", ""] {
            assert!(!is_leftover(Path::new(other)), "{other}");
        }
    }
}

#[test]
fn killed_in_child() {
    let Some(path) = in_child() else { return };
    let last: usize = std::env::var("SEALANT_TEST_STEP").unwrap().parse().unwrap();
    let mut steps = 0;
    let kill = &mut |_| {
        if steps == last {
            kill_process(getpid(), Signal::KILL)?;
        }
        steps += 1;
        Ok(())
    };
    atomic::write(&path, NEW, Mode::Private, None, kill).unwrap();
}

mod locking {
    use super::*;

    #[test]
    fn a_second_writer_waits_then_says_who_holds_the_file() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        for exists in [false, true] {
            if exists {
                fs::write(&path, OLD).unwrap();
            }
            let lock = Lock::exclusive(&path).unwrap();
            let error = Lock::exclusive_within(&path, Duration::from_millis(50)).err().unwrap();
            assert_eq!(error.kind(), Kind::Write);
            assert!(error.message().starts_with("has been locked by "), "{error}");
            if Path::new("/proc/locks").exists() {
                let ours = format!("process {}", std::process::id());
                assert!(error.message().contains(&ours), "{error}");
            }
            drop(lock);
            // A child that another test has just forked has the lock as well, until it is the program that it starts.
            Lock::exclusive_within(&path, Duration::from_secs(10)).unwrap();
        }
        assert_eq!(others(folder.path()), [] as [PathBuf; 0], "a lock leaves nothing behind");
    }

    #[test]
    fn files_beside_each_other_and_streams_do_not_wait() {
        let folder = folder();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        fs::write(&a, OLD).unwrap();
        fs::write(&b, OLD).unwrap();
        let _locks = [Lock::exclusive(&a).unwrap(), Lock::exclusive_within(&b, Duration::ZERO).unwrap()];
        let _streams = [
            Lock::exclusive(Path::new("/dev/null")).unwrap(),
            Lock::exclusive(Path::new("/dev/null")).unwrap(),
        ];
    }

    #[test]
    fn a_link_and_what_it_leads_to_are_one_file() {
        let folder = folder();
        let [file, link] = ["a", "link"].map(|name| folder.path().join(name));
        fs::write(&file, OLD).unwrap();
        symlink("a", &link).unwrap();
        let _lock = Lock::exclusive(&link).unwrap();
        assert!(Lock::exclusive_within(&file, Duration::ZERO).is_err());
    }

    #[test]
    fn no_update_is_lost_though_each_replaces_the_locked_file() {
        let folder = folder();
        let path = folder.path().join("counter");
        let count_up = || {
            for _ in 0..40 {
                let _lock = Lock::exclusive(&path).unwrap();
                let count = fs::read_to_string(&path).map_or(0, |text| text.parse::<u32>().unwrap());
                write_atomic(&path, (count + 1).to_string().as_bytes(), Mode::Private).unwrap();
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(count_up);
            }
        });
        assert_eq!(fs::read_to_string(&path).unwrap(), "160");
    }
}

/// A host with an environment and nothing else.
struct Environment(Vec<(&'static str, PathBuf)>);

impl Host for Environment {
    fn env(&self, name: &str) -> Option<OsString> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone().into())
    }
    fn note(&self, _: &str) {}
    fn now(&self) -> jiff::Timestamp {
        host::Closed.now()
    }
}

mod plaintext_folders {
    use super::*;

    #[test]
    fn only_we_can_look_into_it() {
        let folder = PrivateDir::new(&host::Closed).unwrap();
        let file = folder.create("a.yaml", NEW).unwrap();
        assert_eq!((mode(folder.path()), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read(&file).unwrap(), NEW);
        assert_eq!(folder.create("a.yaml", NEW).unwrap_err().kind(), Kind::Write, "nothing is written over");
    }

    #[test]
    fn it_is_in_memory_where_that_is_possible() {
        let disk = folder();
        let host = Environment(vec![("XDG_RUNTIME_DIR", "/proc".into()), ("TMPDIR", disk.path().into())]);
        let private = PrivateDir::new(&host).unwrap();
        let shm = Path::new("/dev/shm");
        assert_eq!(private.is_in_memory(), private.path().starts_with(shm));
        assert_eq!(private.is_in_memory(), shm.is_dir(), "{}", private.path().display());
        if shm.is_dir() {
            let runtime = tempfile::tempdir_in(shm).unwrap();
            let host = Environment(vec![("XDG_RUNTIME_DIR", runtime.path().into())]);
            assert!(PrivateDir::new(&host).unwrap().path().starts_with(runtime.path()));
        }
    }

    #[test]
    fn all_that_is_in_it_is_overwritten_and_removed() {
        let outside = folder();
        let kept = outside.path().join("kept");
        fs::write(&kept, OLD).unwrap();
        let private = PrivateDir::new(&host::Closed).unwrap();
        let file = private.create("a.yaml", &[7; 100_000]).unwrap();
        let sub = private.path().join("undo");
        fs::create_dir(&sub).unwrap();
        let leftover = sub.join(".a.yaml.swp");
        fs::write(&leftover, [7; 10]).unwrap();
        fs::set_permissions(&leftover, fs::Permissions::from_mode(0o400)).unwrap();
        symlink(&kept, private.path().join("link")).unwrap();
        assert!(Command::new("mkfifo").arg(private.path().join("pipe")).status().unwrap().success());
        let mut open = [&file, &leftover].map(|path| File::open(path).unwrap());
        let path = private.path().to_path_buf();
        private.close().unwrap();
        assert!(!path.exists());
        for (file, length) in open.iter_mut().zip([100_000, 10]) {
            let mut found = Vec::new();
            file.read_to_end(&mut found).unwrap();
            assert_eq!(found, vec![0; length]);
        }
        assert_eq!(fs::read(&kept).unwrap(), OLD, "a link is not followed");
    }

    #[test]
    fn dropping_it_removes_it() {
        let private = PrivateDir::new(&host::Closed).unwrap();
        private.create("a", NEW).unwrap();
        let path = private.path().to_path_buf();
        drop(private);
        assert!(!path.exists());
    }
}

mod signals {
    use super::*;

    /// Runs a child that holds plaintext until a signal comes; its folder is passed to `during`.
    fn signalled(held: &str, during: impl Fn(Pid, &Path)) -> ExitStatus {
        let mut command = child("signalled_in_child", Path::new(held));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let folder =
            lines.filter_map(|line| line.split_once("FOLDER ").map(|(_, path)| PathBuf::from(path))).next();
        let folder = folder.expect("the child says where its plaintext is");
        assert!(folder.join("a.yaml").exists());
        during(Pid::from_child(&child), &folder);
        let status = child.wait().unwrap();
        assert!(!folder.exists(), "{status}");
        status
    }

    #[test]
    fn each_wipes_plaintext_and_ends_the_process() {
        for (signal, code) in [(Signal::HUP, 129), (Signal::QUIT, 131), (Signal::TERM, 143)] {
            let status = signalled("no", |pid, _| kill_process(pid, signal).unwrap());
            assert_eq!(status.code(), Some(code));
        }
    }

    #[test]
    fn a_shell_sees_that_an_interrupt_ended_the_process() {
        let status = signalled("no", |pid, _| kill_process(pid, Signal::INT).unwrap());
        assert_eq!(status.signal(), Some(2), "{status}");
    }

    #[test]
    fn interrupts_meant_for_the_editor_are_passed_by() {
        let status = signalled("yes", |pid, folder| {
            kill_process(pid, Signal::INT).unwrap();
            kill_process(pid, Signal::QUIT).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            assert!(folder.join("a.yaml").exists());
            kill_process(pid, Signal::TERM).unwrap();
        });
        assert_eq!(status.code(), Some(143));
    }
}

#[test]
fn signalled_in_child() {
    let Some(held) = in_child() else { return };
    wipe_on_signals().unwrap();
    wipe_on_signals().unwrap();
    let _held = (held == Path::new("yes")).then(hold_interrupts);
    let folder = PrivateDir::new(&host::Closed).unwrap();
    folder.create("a.yaml", NEW).unwrap();
    println!("FOLDER {}", folder.path().display());
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_secs(30));
}

mod walking {
    use super::*;

    fn tree(files: &[&str]) -> TempDir {
        let folder = folder();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    /// What is found for paths relative to `folder`, and the complaints.
    fn found(folder: &TempDir, paths: &[&str]) -> (Vec<String>, Vec<String>) {
        let prefix = format!("{}/", folder.path().display());
        let paths: Vec<_> = paths.iter().map(|path| PathBuf::from(format!("{prefix}{path}"))).collect();
        let walk = walk(&paths);
        let files = walk.files.iter().map(|path| path.display().to_string().replace(&prefix, "")).collect();
        (files, walk.errors.iter().map(|error| error.to_string().replace(&prefix, "")).collect())
    }

    #[test]
    fn folders_are_searched_in_order_of_names() {
        let folder =
            tree(&["b/2.yaml", "b/1.yaml", "a.yaml", ".env", ".git/config", "c/.git/x", ".a.sealant-1.tmp"]);
        symlink("a.yaml", folder.path().join("link.yaml")).unwrap();
        symlink("/etc", folder.path().join("etc")).unwrap();
        assert_eq!(found(&folder, &[""]).0, [".env", "a.yaml", "b/1.yaml", "b/2.yaml"]);
        assert_eq!(
            found(&folder, &["link.yaml", ".git/config"]).0,
            ["link.yaml", ".git/config"],
            "named themselves"
        );
    }

    #[test]
    fn a_file_is_found_once() {
        let folder = tree(&["a/1", "a/2", "b"]);
        symlink("a/2", folder.path().join("link")).unwrap();
        assert_eq!(found(&folder, &["a/2", "a", "./a/1", "link", "b"]).0, ["a/2", "a/1", "b"]);
    }

    #[test]
    fn patterns_are_those_of_a_shell() {
        let folder =
            tree(&["a.yaml", "b.yml", "x/c.yaml", "x/y/d.yaml", ".sops.yaml", "x/.hid/e.yaml", "[z].yaml"]);
        for (pattern, expected) in [
            ("*.yaml", &["[z].yaml", "a.yaml"][..]),
            ("**/*.yaml", &["[z].yaml", "a.yaml", "x/c.yaml", "x/y/d.yaml"]),
            ("*.{yaml,yml}", &["[z].yaml", "a.yaml", "b.yml"]),
            ("x/*/d.yaml", &["x/y/d.yaml"]),
            ("./x/../x/?.yaml", &["x/../x/c.yaml"]),
            (".*.yaml", &[".sops.yaml"]),
            ("x/.hid/*", &["x/.hid/e.yaml"]),
            ("[z].yaml", &["[z].yaml"]),
        ] {
            assert_eq!(
                found(&folder, &[pattern]),
                (expected.iter().map(|&text| text.into()).collect(), vec![]),
                "{pattern}"
            );
        }
    }

    #[test]
    fn what_leads_nowhere_is_told_and_the_rest_is_found() {
        let folder = tree(&["a"]);
        let (files, errors) = found(&folder, &["b", "a", "*.x", "[a"]);
        assert_eq!(files, ["a"]);
        assert_eq!(errors.len(), 3);
        assert_eq!(errors[0], "b: no such file");
        assert_eq!(errors[1], "no file matches `*.x`");
        assert!(errors[2].starts_with("`[a` is neither a file nor a pattern"), "{}", errors[2]);
    }

    #[test]
    fn relative_patterns_give_relative_paths() {
        // The working directory of a test is the package's.
        let walk = walk(&["src/li[b].rs".into(), "Cargo.t*".into(), "./Cargo.t*".into()]);
        let files: Vec<_> = walk.files.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(files, ["src/lib.rs", "Cargo.toml"]);
        assert!(walk.errors.is_empty(), "{:?}", walk.errors);
    }

    #[test]
    fn folders_that_cannot_be_read_are_told() {
        let folder = tree(&["a", "locked/b"]);
        let locked = folder.path().join("locked");
        let (mut command, _programs) = unprivileged_child("unreadable_in_child", folder.path());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o0)).unwrap();
        let output = command.output().unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn unreadable_in_child() {
    let Some(folder) = in_child() else { return };
    let walk = walk(std::slice::from_ref(&folder));
    assert_eq!(walk.files, [folder.join("a")]);
    let [error] = &walk.errors[..] else { panic!("{:?}", walk.errors) };
    assert_eq!((error.kind(), error.file()), (Kind::Read, Some(folder.join("locked").as_path())));
}

#[test]
fn what_leads_to_a_folder_that_is_not_there_has_its_place() {
    let folder = folder();
    let top = folder.path().canonicalize().unwrap();
    fs::create_dir(top.join("sub")).unwrap();
    let link = |to: &str, at: &str| symlink(to, top.join(at)).unwrap();
    link("sub/new", "gone");
    link("../gone/deep", "sub/far");
    link("loop", "loop");
    // Each leads to the next one twice.
    for at in 0..60 {
        link(&format!("l{0}/../l{0}", at + 1), &format!("l{at}"));
    }
    let real = |path: &str| real_folder(&top.join(path));
    assert_eq!(real("gone"), top.join("sub/new"));
    assert_eq!(real("gone/a/b"), top.join("sub/new/a/b"));
    assert_eq!(real("sub/far/a"), top.join("sub/new/deep/a"));
    assert_eq!(real("loop/a"), top.join("loop/a"));
    assert!(real("l0").starts_with(&top));
}
