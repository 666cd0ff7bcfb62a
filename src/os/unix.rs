//! The form that Unix has for it. Where Linux has more than the others, they do without and say so.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, FileType, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{
    DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown,
};
use std::os::unix::net::UnixListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use tempfile::{PathPersistError, TempPath};

#[cfg(not(target_os = "linux"))]
use super::unsupported;
use super::{Asked, Users};

/// A name that a program such as Git tells by its bytes.
pub(crate) fn name_of(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// Bytes as the value of a variable, if they can be one.
pub(crate) fn value_of(bytes: &[u8]) -> Option<&OsStr> {
    Some(OsStr::from_bytes(bytes))
}

/// A path by its bytes, with slashes between its parts.
pub(crate) fn slashed(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// The real path of what is there, as programs take it.
pub(crate) fn real_path(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    path.as_ref().canonicalize()
}

/// What something is called, where it can be reached by another name as well: never here.
pub(crate) fn other_name_on_disk(_: &Path) -> Option<PathBuf> {
    None
}

/// Who may do what with a file that is there, so that a new version of it can have the same.
pub(crate) struct Access {
    mode: u32,
    user: u32,
    group: u32,
}

impl Access {
    /// That of what was looked at.
    pub fn of(_: &Path, file: &Metadata) -> io::Result<Self> {
        Ok(Self { mode: file.mode(), user: file.uid(), group: file.gid() })
    }

    /// Without those who are neither its owner nor of its group.
    pub fn without_others(mut self) -> Self {
        self.mode &= !0o007;
        self
    }

    /// Gives it to another file, as far as we may.
    pub fn give(&self, to: &File) -> io::Result<()> {
        let ours = to.metadata()?;
        // Whoever runs a program with these bits becomes its owner, and that is us now.
        let mut mode = self.mode & 0o777;
        if rustix::process::geteuid().is_root() && ours.uid() != self.user {
            fchown(to, Some(self.user), None)?;
        }
        if ours.gid() != self.group && fchown(to, None, Some(self.group)).is_err() {
            mode = for_another_group(mode);
        }
        to.set_permissions(Permissions::from_mode(mode))
    }

    /// Of what `statat` has found.
    pub fn found(found: &rustix::fs::Stat) -> Self {
        #[allow(clippy::useless_conversion, reason = "on macOS it has 16 bits")]
        let mode = u32::from(found.st_mode);
        Self { mode, user: found.st_uid, group: found.st_gid }
    }
}

/// The mode of a file that gets another group than it had: that one may do no more than everybody.
pub(crate) fn for_another_group(mode: u32) -> u32 {
    let group_like_others = (mode & 0o007) << 3;
    mode & (!0o070 | group_like_others)
}

/// The mode of what is new, before the umask.
pub(crate) fn file_mode(users: Users) -> u32 {
    match users {
        Users::Owner | Users::OwnerAtFirst => 0o600,
        Users::All => 0o644,
        Users::AllRun => 0o755,
    }
}

/// Makes a file to read and write; an error where something is already.
pub(crate) fn create_file(path: &Path, users: Users) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(file_mode(users)).open(path)
}

/// Opens a file to read it and to write at its end; it is made if it is missing.
pub(crate) fn open_to_append(path: &Path, users: Users) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(file_mode(users)).open(path)
}

/// Makes a folder: for its owner alone, for others to pass through, or as the umask has it; an error where something is.
pub(crate) fn create_folder(path: &Path, users: Users) -> io::Result<()> {
    let mode = match users {
        Users::Owner | Users::OwnerAtFirst => 0o700,
        Users::AllRun => 0o711,
        Users::All => 0o777,
    };
    DirBuilder::new().mode(mode).create(path)
}

/// Gives a file to another user.
pub(crate) fn give_to(path: &Path, user: u32, group: u32) -> io::Result<()> {
    lchown(path, Some(user), Some(group))
}

/// Lets everybody run a file.
pub(crate) fn make_executable(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o755))
}

/// Lets its owner write a file, whatever it was.
pub(crate) fn make_writable(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// Fails where a file cannot be written, or nothing be made in a folder.
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(path, rustix::fs::Access::WRITE_OK)?)
}

/// Whether others than its owner may read or write an open file.
pub(crate) fn is_open_to_others(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o066 != 0)
}

/// Whether what goes to standard output lands in a file that anybody may read.
pub(crate) fn stdout_is_open_to_others() -> bool {
    const ANYBODY_READS: rustix::fs::RawMode = 0o004;
    let found = rustix::fs::fstat(io::stdout().as_fd());
    found.is_ok_and(|found| {
        rustix::fs::FileType::from_raw_mode(found.st_mode).is_file() && found.st_mode & ANYBODY_READS != 0
    })
}

/// Puts one file into the place of another, or of nothing.
pub(crate) fn replace(temporary: TempPath, target: &Path) -> Result<(), PathPersistError> {
    temporary.persist(target)
}

/// How many other names a file has, and by which number it can be found under these.
pub(crate) fn hard_links(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok().filter(|found| found.is_file() && found.nlink() > 1)?;
    Some((found.nlink() - 1, found.ino()))
}

/// Whether something is mounted at this path, so that nothing can be renamed to it.
#[cfg(target_os = "linux")]
pub(crate) fn is_mount_point(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
    let found = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_mount_point(_: &Path) -> bool {
    false
}

/// Whether what is in a folder is in memory, swap aside.
#[cfg(target_os = "linux")]
pub(crate) fn is_in_memory(place: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58F6;
    rustix::fs::statfs(place).is_ok_and(|found| [TMPFS, RAMFS].contains(&(found.f_type as u64)))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_in_memory(_: &Path) -> bool {
    false
}

/// A file in memory without a name, and what programs that we start can open it by.
#[cfg(target_os = "linux")]
pub(crate) fn nameless_file() -> io::Result<(File, PathBuf)> {
    use std::os::fd::AsRawFd;

    // Without CLOEXEC: who is started gets it.
    let file = File::from(rustix::fs::memfd_create("sealant", rustix::fs::MemfdFlags::empty())?);
    let path = format!("/dev/fd/{}", file.as_raw_fd()).into();
    Ok((file, path))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn nameless_file() -> io::Result<(File, PathBuf)> {
    Err(unsupported("this system has no files without a name"))
}

/// Makes sure that the names in a folder are on the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    sync_open_folder(&File::open(folder)?)
}

pub(crate) fn sync_open_folder(folder: &File) -> io::Result<()> {
    match folder.sync_all() {
        // Some network file systems cannot sync a folder.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        result => result,
    }
}

/// What stands for a program under another name.
pub(crate) const STAND_IN: &str = "a link to";

/// Makes a program be there under another name as well.
pub(crate) fn stand_in(target: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

/// What it is that is neither a file nor a folder.
pub(crate) fn special(_: &Path, kind: FileType) -> Option<&'static str> {
    let kinds = [
        (kind.is_fifo(), "a named pipe"),
        (kind.is_socket(), "a socket"),
        (kind.is_char_device() || kind.is_block_device(), "a device"),
    ];
    kinds.into_iter().find_map(|(is_one, what)| is_one.then_some(what))
}

/// Whether this is the device that holds nothing.
pub(crate) fn is_null(metadata: &Metadata) -> bool {
    let null = fs::metadata("/dev/null");
    null.is_ok_and(|null| metadata.file_type().is_char_device() && null.rdev() == metadata.rdev())
}

/// Opens a file to read it. Should it be a pipe by now, nobody waits.
pub(crate) fn open_unwaiting(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// Whether something is a named pipe.
pub(crate) fn is_pipe(kind: FileType) -> bool {
    kind.is_fifo()
}

/// Makes a named pipe for its owner alone.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn make_pipe(path: &Path) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)?)
}

#[cfg(target_vendor = "apple")]
pub(crate) fn make_pipe(_: &Path) -> io::Result<()> {
    Err(unsupported("named pipes are not made on this system"))
}

/// Opens a named pipe to write into it; `None` while nobody reads it.
pub(crate) fn open_pipe_to_write(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(pipe) => waiting(pipe).map(Some),
        Err(Errno::NXIO | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens a named pipe to read it, once somebody writes into it; `None` where nobody has in that time.
pub(crate) fn open_pipe_to_read(path: &Path, patience: Duration) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let pipe = rustix::fs::open(path, flags, Mode::empty())?;
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&limit)) {
            Ok(0) => return Ok(None),
            Ok(_) => return waiting(pipe).map(Some),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A pipe of which reads and writes wait.
fn waiting(pipe: OwnedFd) -> io::Result<File> {
    rustix::fs::fcntl_setfl(&pipe, OFlags::empty())?;
    Ok(pipe.into())
}

/// Waits until a child has printed something or ended; whether it has, in that time.
pub(crate) fn wait_for_output(stdout: &ChildStdout, patience: Duration) -> io::Result<bool> {
    let wait = Timespec::try_from(patience).map_err(io::Error::other)?;
    Ok(poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&wait))? > 0)
}

/// A lock on a file, or on its folder while there is no such file: nothing is left behind, and it ends with the process
/// however that ends.
pub(crate) struct PathLock(File);

impl PathLock {
    /// Asks for the lock of this path in its folder, without waiting for it.
    pub fn ask(target: &Path, folder: &Path) -> io::Result<Asked> {
        let file = open_to_lock(target, folder)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // While we waited the file may have been replaced: then this is the lock of one that is gone.
            Ok(()) if is_still(&file, target)? => Ok(Asked::Held(Self(file))),
            Ok(()) | Err(Errno::INTR) => Ok(Asked::Again),
            Err(Errno::NOTSUP | Errno::NOLCK) => Ok(Asked::NoLocks),
            Err(Errno::WOULDBLOCK) => Ok(Asked::Busy(Busy(file))),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for PathLock {
    fn drop(&mut self) {
        // Closing alone would not do: a child process that has just been forked has the file open as well.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Waits for the lock of a file that is open, which it has until it is closed.
pub(crate) fn wait_for_lock(file: &File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::LockExclusive)?)
}

/// The file, or its folder when it is not there.
fn open_to_lock(target: &Path, folder: &Path) -> io::Result<File> {
    // For writing where we may: network file systems lock nothing else.
    let file = OpenOptions::new().read(true).write(true).open(target);
    file.or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => File::open(target),
        io::ErrorKind::NotFound => File::open(folder),
        _ => Err(error),
    })
}

/// Whether `file` is what is at `target`, or is its folder and nothing is there.
fn is_still(file: &File, target: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs::metadata(target) {
        Ok(found) => Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(opened.is_dir()),
        Err(error) => Err(error),
    }
}

/// What somebody else has locked.
pub(crate) struct Busy(File);

impl Busy {
    /// The process that has, where the kernel tells. It leaves lines out while others come and go.
    pub fn holder(&self) -> Option<u32> {
        let inode = self.0.metadata().ok()?.ino();
        (0..5).find_map(|_| listed_holder(inode))
    }
}

fn listed_holder(inode: u64) -> Option<u32> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 4711 08:02:131075 0 EOF`; waiting processes have `->` after the number.
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, place, ..] = fields[..] else { return None };
        let of_inode = place.rsplit(':').next()? == inode.to_string();
        pid.parse().ok().filter(|_| of_inode)
    })
}

/// Calls `handle`, on a thread of its own, with each signal that asks this process to end, USR1 and USR2 included.
///
/// The handlers only write to a pipe, which is all that is safe in one; the thread reads it and does the work.
pub(crate) fn on_signals(handle: impl Fn(i32) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])?;
    let watch = move || signals.forever().for_each(handle);
    thread::Builder::new().name("signals".to_owned()).spawn(watch).map(drop)
}

/// Whether a person has pressed a key for it, which reaches all programs in front of the terminal.
pub(crate) fn is_interrupt(signal: i32) -> bool {
    matches!(signal, SIGINT | SIGQUIT)
}

/// Ends this process as a signal does: INT as it would have without us, the others with 128 + their number.
pub(crate) fn end_by(signal: i32) -> ! {
    if signal == SIGINT {
        // A shell goes on with its loop unless it sees that the signal itself has ended the program.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    std::process::exit(128 + signal)
}

/// A child process, by what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(Pid);

impl Process {
    pub fn of(child: &Child) -> Self {
        Self(Pid::from_child(child))
    }
}

/// Tells a process to stop.
pub(crate) fn stop(process: Process) {
    // It may have ended this very moment.
    let _ = kill_process(process.0, Signal::TERM);
}

/// Gives a signal that we got to a child, unless it has got it, too.
pub(crate) fn pass_on(signal: i32, process: Process) {
    let Some(signal) = Signal::from_named_raw(signal) else { return };
    // The terminal has sent it to the child already, and programs take a second one as impatience.
    if matches!(signal, Signal::INT | Signal::QUIT) && is_in_foreground() {
        return;
    }
    // It may just have ended.
    let _ = kill_process(process.0, signal);
}

fn is_in_foreground() -> bool {
    File::open(TERMINAL)
        .is_ok_and(|terminal| rustix::termios::tcgetpgrp(&terminal) == Ok(rustix::process::getpgrp()))
}

/// Waits for the end of a child, whose number stays its own until it is waited for by other means.
pub(crate) fn wait_unreaped(child: &mut Child) {
    let pid = Pid::from_child(child);
    let ended = || rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    while ended().err() == Some(Errno::INTR) {}
}

/// The signal that has ended a program.
pub(crate) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// What the help calls the shell.
pub(crate) const SHELL: &str = "/bin/sh";

/// The shell with a line to run.
pub(crate) fn shell(line: &OsStr) -> Command {
    let mut command = Command::new(SHELL);
    command.arg("-c").arg(line);
    command
}

/// Puts a program into the place of this process. Returns an error, or not at all.
pub(crate) fn replace_us(command: &mut Command) -> io::Error {
    command.exec()
}

/// What is started by this path, if it is a program.
pub(crate) fn program_at(path: &Path) -> Option<PathBuf> {
    let can_run = path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    can_run.then(|| path.to_path_buf())
}

/// The name of a program by which it was called.
pub(crate) fn program_name(called: &OsStr) -> Option<OsString> {
    Path::new(called).file_name().map(OsStr::to_owned)
}

/// What a program is started as that was found at this path.
pub(crate) fn start_as(program: OsString, _: PathBuf) -> OsString {
    program
}

/// Whether a file says that it may be run; `None` where none does.
pub(crate) fn says_it_may_be_run(metadata: &Metadata) -> Option<bool> {
    Some(metadata.mode() & 0o111 != 0)
}

/// Where the users of this machine and their groups are listed.
pub(crate) fn accounts() -> io::Result<(&'static str, &'static str)> {
    Ok(("/etc/passwd", "/etc/group"))
}

/// Makes the calling thread another user, without any right of ours. The kernel knows threads here, and no processes.
#[cfg(target_os = "linux")]
pub(crate) fn become_user(user: u32, group: u32, groups: &[u32]) -> io::Result<()> {
    use rustix::process::{Gid, Uid};

    let groups: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    Ok(rustix::thread::set_thread_res_uid(user, user, user)?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn become_user(_: u32, _: u32, _: &[u32]) -> io::Result<()> {
    Err(unsupported("a thread cannot be another user on this system"))
}

/// Limits what a child may take of the memory, in bytes. Where the system lets nobody do so, it is not limited.
#[cfg(target_os = "linux")]
pub(crate) fn limit_memory(child: &Child, most: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

    let maximum = getrlimit(Resource::Data).maximum;
    let current = Some(maximum.unwrap_or(most).min(most));
    let _ = prlimit(Some(Pid::from_child(child)), Resource::Data, Rlimit { current, maximum });
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn limit_memory(_: &Child, _: u64) {}

/// The variable that names the folder of a user's settings, and where it is in their home without that.
pub(crate) const SETTINGS: (Option<&str>, &str) =
    (None, if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" });

/// The folder of the settings of `gcloud`, in the user's home.
pub(crate) const GCLOUD: &str = ".config/gcloud";

/// The variable that says who the user is.
pub(crate) const USER: &str = "USER";

/// What is tried when no variable names an editor, as in sops.
pub(crate) const EDITORS: &[&str] = &["vim", "nano", "vi"];

/// The words of a command line, as a POSIX shell splits them.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    shlex::split(line)
}

/// A text as a word for a shell, for somebody to copy; `None` where that cannot be.
pub(crate) fn quoted(text: &str) -> Option<Cow<'_, str>> {
    shlex::try_quote(text).ok()
}

/// The command that keeps a file from others; `file` is a word for a shell, as in all of these.
pub(crate) fn how_to_keep(file: &str) -> String {
    format!("chmod 600 {file}")
}

/// The command that makes a file writable.
pub(crate) const HOW_TO_MAKE_WRITABLE: &str = "chmod u+w";

/// The command that makes a folder, and those above it.
pub(crate) fn how_to_make_folder(folder: &str) -> String {
    format!("mkdir -p {folder}")
}

/// The command that gives a file another name.
pub(crate) fn how_to_move(from: &str, to: &str) -> String {
    format!("mv {from} {to}")
}

/// The command that lets a shell look into a folder first.
pub(crate) fn how_to_find_in(folder: &str) -> String {
    format!("export PATH={folder}:$PATH")
}

/// The command that sets a variable for the programs that a shell starts.
pub(crate) fn how_to_set(name: &str, value: &str) -> String {
    format!("export {name}='{value}'")
}

/// What to do where plaintext is on a disk for a while.
pub(crate) const HOW_TO_STAY_IN_MEMORY: &str =
    "Set XDG_RUNTIME_DIR to a folder in memory (tmpfs), if there is one.";

/// The variables that name the folder of temporary files, and where it is without them.
pub(crate) const TEMPORARY: (&[&str], &str) = (&["TMPDIR"], "/tmp");

const TERMINAL: &str = "/dev/tty";

/// The terminal of this process: where a person types, and what they see.
pub(crate) fn terminal() -> io::Result<(File, File)> {
    let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL)?;
    Ok((terminal.try_clone()?, terminal))
}

/// What this machine is called, as far as the system tells.
pub(crate) fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// The number of the user as whom this process runs, where users have one.
pub(crate) fn user_id() -> Option<u32> {
    Some(rustix::process::getuid().as_raw())
}

/// What listens on a socket of the file system.
pub(crate) type LocalListener = UnixListener;

/// Listens on a socket to which nobody but its owner can connect, from its first moment on.
pub(crate) fn listen_privately(path: &Path) -> io::Result<LocalListener> {
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    listener
}
