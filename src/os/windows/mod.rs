//! The form that Windows has for it.
//!
//! What 0600 means is an access list that names the user alone: see [`access`]. A lock is a named object of the kernel, since
//! one on the file itself would keep everybody from reading and replacing it.

#![allow(unsafe_code, reason = "the system is called here, and in `access`")]

mod access;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tempfile::{PathPersistError, TempPath};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_BROKEN_PIPE, ERROR_SHARING_VIOLATION, GetLastError,
    STATUS_CONTROL_C_EXIT,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_TYPE_DISK, GetFileInformationByHandle, GetFileType,
};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Pipes::PeekNamedPipe;
use windows_sys::Win32::System::Threading::{CreateMutexW, OpenProcess, PROCESS_TERMINATE, TerminateProcess};

use super::{Asked, Users, unsupported};

pub(crate) use access::{Access, create_file, create_folder, is_open_to_others};

/// A name that a program such as Git tells by its bytes, in UTF-8. Other bytes stay apart from each other and from all text.
pub(crate) fn name_of(bytes: &[u8]) -> OsString {
    let mut wide = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        wide.extend(chunk.valid().encode_utf16());
        // Half of a pair, which is in no text.
        wide.extend(chunk.invalid().iter().map(|byte| 0xdc00 + u16::from(*byte)));
    }
    OsString::from_wide(&wide)
}

/// Bytes as the value of a variable, if they can be one.
pub(crate) fn value_of(bytes: &[u8]) -> Option<&OsStr> {
    str::from_utf8(bytes).ok().map(OsStr::new)
}

/// A path by its bytes, with slashes between its parts.
pub(crate) fn slashed(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes.map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

/// The real path of what is there, as programs take it: without `\\?\` where that can be.
pub(crate) fn real_path(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    dunce::canonicalize(path)
}

/// What something is called, where it can be reached by another name as well: in other case, with dots behind it, cut short.
pub(crate) fn other_name_on_disk(path: &Path) -> Option<PathBuf> {
    let real = real_path(path).ok()?;
    real.file_name().filter(|name| Some(*name) != path.file_name()).map(PathBuf::from)
}

/// Text as the system takes it.
fn wide(text: &OsStr) -> io::Result<Vec<u16>> {
    let wide: Vec<u16> = text.encode_wide().chain([0]).collect();
    match wide.iter().position(|unit| *unit == 0) == Some(wide.len() - 1) {
        true => Ok(wide),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "there is a zero in this name")),
    }
}

/// Opens a file to read it and to write at its end; it is made if it is missing.
pub(crate) fn open_to_append(path: &Path, users: Users) -> io::Result<File> {
    let open = || OpenOptions::new().read(true).append(true).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match create_file(path, users) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => open(),
        },
        opened => opened,
    }
}

/// Gives a file to another user.
pub(crate) fn give_to(_: &Path, _: u32, _: u32) -> io::Result<()> {
    Err(unsupported("files are not given to other users on Windows"))
}

/// What may be run is a matter of its name here.
pub(crate) fn make_executable(_: &File) -> io::Result<()> {
    Ok(())
}

/// Lets its owner write a file, whatever it was.
pub(crate) fn make_writable(path: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "that is an attribute here, and no mode")]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions)
}

/// Fails where a file cannot be written. What its access list says is found out by writing.
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    let found = fs::metadata(path)?;
    match found.is_file() && found.permissions().readonly() {
        true => Err(io::ErrorKind::PermissionDenied.into()),
        false => Ok(()),
    }
}

/// Whether what goes to standard output lands in a file that others may read.
pub(crate) fn stdout_is_open_to_others() -> bool {
    let stdout = io::stdout();
    is_disk(&stdout) && access::is_handle_open_to_others(&stdout).unwrap_or(true)
}

fn is_disk(of: &impl AsRawHandle) -> bool {
    // SAFETY: the handle is open as long as it is borrowed.
    unsafe { GetFileType(of.as_raw_handle()) == FILE_TYPE_DISK }
}

/// How long others may have a file open that is to be replaced: those that look for viruses, and those that index.
const OTHERS_LOOK: Duration = Duration::from_secs(2);

/// Puts one file into the place of another, or of nothing.
pub(crate) fn replace(mut temporary: TempPath, target: &Path) -> Result<(), PathPersistError> {
    let deadline = Instant::now() + OTHERS_LOOK;
    let is_in_use = |error: &io::Error| {
        [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION]
            .map(|code| Some(code as i32))
            .contains(&error.raw_os_error())
    };
    loop {
        match fs::rename(&temporary, target) {
            Ok(()) => {
                temporary.disable_cleanup(true);
                return Ok(());
            }
            Err(error) if is_in_use(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(PathPersistError { error, path: temporary }),
        }
    }
}

/// How many other names a file has, and by which number it can be found under these.
pub(crate) fn hard_links(path: &Path) -> Option<(u64, u64)> {
    let file = File::open(path).ok()?;
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and what is written to lives.
    let is_known = unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut found) } != 0;
    let index = u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow);
    (is_known && found.nNumberOfLinks > 1).then(|| (u64::from(found.nNumberOfLinks) - 1, index))
}

/// Whether something is mounted at this path. Files are not, here.
pub(crate) fn is_mount_point(_: &Path) -> bool {
    false
}

/// Whether what is in a folder is in memory. Windows has no such place.
pub(crate) fn is_in_memory(_: &Path) -> bool {
    false
}

/// A file in memory without a name.
pub(crate) fn nameless_file() -> io::Result<(File, PathBuf)> {
    Err(unsupported("Windows has no files without a name"))
}

/// Makes sure that the names in a folder are on the disk: the file system's own log does so, and can be asked for nothing.
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// What stands for a program under another name.
pub(crate) const STAND_IN: &str = "a copy of";

/// Makes a program be there under another name as well: links need a right that not everybody has.
pub(crate) fn stand_in(program: &Path, at: &Path) -> io::Result<()> {
    let mut copy = create_file(at, Users::AllRun)?;
    io::copy(&mut File::open(program)?, &mut copy).map(drop)
}

/// What is no file by its name, in whatever folder.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// What it is that is neither a file nor a folder.
pub(crate) fn special(path: &Path, _: FileType) -> Option<&'static str> {
    let is_device = |name: &OsStr| {
        let name = name.to_string_lossy().to_lowercase();
        let name = name.split(['.', ':']).next().unwrap_or_default().trim_end();
        let number = name.strip_prefix("com").or_else(|| name.strip_prefix("lpt"));
        DEVICES.contains(&name) || number.is_some_and(|number| number.chars().count() == 1)
    };
    let is_in_devices = slashed(path).starts_with(b"//./");
    (is_in_devices || path.file_name().is_some_and(is_device)).then_some("a device")
}

/// Whether this is the device that holds nothing. It cannot be looked at, so nothing that was is it.
pub(crate) fn is_null(_: &Metadata) -> bool {
    false
}

/// Opens a file to read it. Should it be a pipe or a device, it is not read.
pub(crate) fn open_unwaiting(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if is_disk(&file) { Ok(file) } else { Err(io::Error::other("it is not a file on a disk")) }
}

/// Whether something is a named pipe. These are not in folders here.
pub(crate) fn is_pipe(_: FileType) -> bool {
    false
}

/// Makes a named pipe.
pub(crate) fn make_pipe(_: &Path) -> io::Result<()> {
    Err(unsupported("Windows has no named pipes among its files"))
}

/// Opens a named pipe to write into it.
pub(crate) fn open_pipe_to_write(_: &Path) -> io::Result<Option<File>> {
    Err(unsupported("Windows has no named pipes among its files"))
}

/// Opens a named pipe to read it.
pub(crate) fn open_pipe_to_read(_: &Path, _: Duration) -> io::Result<Option<File>> {
    Err(unsupported("Windows has no named pipes among its files"))
}

/// Waits until a child has printed something or ended; whether it has, in that time.
pub(crate) fn wait_for_output(stdout: &ChildStdout, patience: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let (mut there, none) = (0, std::ptr::null_mut());
        // SAFETY: the handle is open as long as it is borrowed, and the number that is written to lives.
        let known = unsafe {
            PeekNamedPipe(stdout.as_raw_handle(), none, 0, none.cast(), &raw mut there, none.cast())
        };
        if known == 0 {
            let error = io::Error::last_os_error();
            let has_ended = error.raw_os_error() == Some(ERROR_BROKEN_PIPE as i32);
            return if has_ended { Ok(true) } else { Err(error) };
        }
        if there > 0 {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// A lock on a path: an object of the kernel with a name that is made of it, which is there as long as the lock is held, and
/// no longer than its process.
pub(crate) struct PathLock(#[expect(dead_code, reason = "closed when dropped")] OwnedHandle);

impl PathLock {
    /// Asks for the lock of this path in its folder, without waiting for it.
    pub fn ask(target: &Path, folder: &Path) -> io::Result<Asked> {
        let folder = real_path(folder)?;
        let spelled = folder.join(target.file_name().unwrap_or_default()).to_string_lossy().to_lowercase();
        let hash = Sha256::digest(spelled.as_bytes());
        let name = wide(OsStr::new(&format!("Global\\sealant-{hash:x}")))?;
        // SAFETY: the name ends with a zero, and lives as long as the call.
        let (handle, error) = unsafe { (CreateMutexW(std::ptr::null(), 0, name.as_ptr()), GetLastError()) };
        if handle.is_null() {
            // One of another user is there, and nobody else may look at it.
            let is_there = error == ERROR_ACCESS_DENIED;
            return if is_there {
                Ok(Asked::Busy(Busy))
            } else {
                Err(io::Error::from_raw_os_error(error as i32))
            };
        }
        // SAFETY: it has just been opened, and nobody else has it.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        Ok(if error == ERROR_ALREADY_EXISTS { Asked::Busy(Busy) } else { Asked::Held(Self(handle)) })
    }
}

/// What somebody else has locked.
pub(crate) struct Busy;

impl Busy {
    /// The process that has, which Windows does not tell.
    pub fn holder(&self) -> Option<u32> {
        None
    }
}

/// Waits for the lock of a file that is open, which it has until it is closed.
pub(crate) fn wait_for_lock(file: &File) -> io::Result<()> {
    file.lock()
}

/// As C has it.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGBREAK: i32 = 21;

type Handler = Mutex<Box<dyn Fn(i32) + Send>>;

static HANDLER: OnceLock<Handler> = OnceLock::new();

/// Calls `handle`, on a thread of its own, with each signal that asks this process to end: Ctrl-C, Ctrl-Break, and that the
/// console or the session ends.
pub(crate) fn on_signals(handle: impl Fn(i32) + Send + 'static) -> io::Result<()> {
    HANDLER.get_or_init(|| Mutex::new(Box::new(handle)));
    // SAFETY: the function is there for as long as the process.
    match unsafe { SetConsoleCtrlHandler(Some(on_event), 1) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The system calls it on a thread of its own, where everything may be done.
unsafe extern "system" fn on_event(event: u32) -> i32 {
    let signal = match event {
        CTRL_C_EVENT => SIGINT,
        CTRL_BREAK_EVENT => SIGBREAK,
        _ => SIGTERM,
    };
    if let Some(handle) = HANDLER.get() {
        handle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)(signal);
    }
    1
}

/// Whether a person has pressed a key for it, which reaches all programs in front of the console.
pub(crate) fn is_interrupt(signal: i32) -> bool {
    matches!(signal, SIGINT | SIGBREAK)
}

/// Ends this process as a signal does.
pub(crate) fn end_by(signal: i32) -> ! {
    std::process::exit(if signal == SIGINT { STATUS_CONTROL_C_EXIT } else { 128 + signal })
}

/// A child process, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    pub fn of(child: &Child) -> Self {
        Self(child.id())
    }
}

/// Ends a process: there is no way to ask it to stop.
pub(crate) fn stop(process: Process) {
    // SAFETY: the handle is closed once, after its use.
    unsafe {
        let handle = OpenProcess(PROCESS_TERMINATE, 0, process.0);
        // It may have ended this very moment.
        if !handle.is_null() {
            TerminateProcess(OwnedHandle::from_raw_handle(handle).as_raw_handle(), 1);
        }
    }
}

/// A child has the same console, and gets what we get.
pub(crate) fn pass_on(_: i32, _: Process) {}

/// Waits for the end of a child, whose number stays its own as long as we have it.
pub(crate) fn wait_unreaped(child: &mut Child) {
    // Whoever waits for it next is told what is wrong.
    let _ = child.wait();
}

/// The signal that has ended a program, which there are none of.
pub(crate) fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

/// What the help calls the shell.
pub(crate) const SHELL: &str = "cmd.exe";

/// The shell with a line to run, which it gets as it is, and without what its settings would run before.
pub(crate) fn shell(line: &OsStr) -> Command {
    let mut quoted = OsString::from("\"");
    quoted.push(line);
    quoted.push("\"");
    let mut command = Command::new(SHELL);
    command.args(["/D", "/S", "/C"]).raw_arg(quoted);
    command
}

/// Runs a program in place of this process, which waits for it and ends as it does. Returns an error, or not at all.
pub(crate) fn replace_us(command: &mut Command) -> io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

/// What a program may end in, in the order in which shells try it.
const PROGRAMS: [&str; 4] = ["com", "exe", "bat", "cmd"];

/// What is started by this path, if it is a program: the end of its name may be left out.
pub(crate) fn program_at(path: &Path) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
        end.is_some_and(|end| PROGRAMS.contains(&end.as_str())) && path.is_file()
    };
    let ended = |end| {
        let mut path = path.as_os_str().to_owned();
        path.push(".");
        path.push(end);
        PathBuf::from(path)
    };
    std::iter::once(path.to_path_buf()).chain(PROGRAMS.map(ended)).find(is_program)
}

/// The name of a program by which it was called.
pub(crate) fn program_name(called: &OsStr) -> Option<OsString> {
    let name = Path::new(called).file_name()?.to_string_lossy().to_lowercase();
    Some(name.strip_suffix(".exe").unwrap_or(&name).into())
}

/// What a program is started as that was found at this path: by its name alone, the system finds no `.cmd`.
pub(crate) fn start_as(_: OsString, at: PathBuf) -> OsString {
    at.into_os_string()
}

/// Whether a file says that it may be run, which none does here.
pub(crate) fn says_it_may_be_run(_: &Metadata) -> Option<bool> {
    None
}

/// Where the users of this machine and their groups are listed.
pub(crate) fn accounts() -> io::Result<(&'static str, &'static str)> {
    Err(unsupported("Windows starts no program as another user without their password"))
}

/// Makes the calling thread another user.
pub(crate) fn become_user(_: u32, _: u32, _: &[u32]) -> io::Result<()> {
    Err(unsupported("Windows starts no program as another user without their password"))
}

/// Limits what a child may take of the memory. Here it is not.
pub(crate) fn limit_memory(_: &Child, _: u64) {}

/// The variable that names the folder of a user's settings, and where it is in their home without that.
pub(crate) const SETTINGS: (Option<&str>, &str) = (Some("APPDATA"), r"AppData\Roaming");

/// The folder of the settings of `gcloud`, in the user's home.
pub(crate) const GCLOUD: &str = r"AppData\Roaming\gcloud";

/// The variable that says who the user is.
pub(crate) const USER: &str = "USERNAME";

/// What is tried when no variable names an editor: as in sops, and what every Windows has.
pub(crate) const EDITORS: &[&str] = &["vim", "nano", "vi", "notepad"];

/// The words of a command line, as a POSIX shell splits them, but that `\` is a part of paths.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    shlex::split(&line.replace('\\', "\\\\"))
}

/// A text as a word for a shell, for somebody to copy; `None` where that cannot be. What is in double quotes is the same for
/// `cmd` and PowerShell, if it has nothing in it that one of them puts something in place of; quotes in it are for `cmd`.
pub(crate) fn quoted(text: &str) -> Option<Cow<'_, str>> {
    let is_plain = |c: char| c.is_alphanumeric() || r"\/:._-+=~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Some(Cow::Borrowed(text));
    }
    let is_taken = |c: char| "%$`!".contains(c) || c.is_control();
    if text.contains(is_taken) {
        return None;
    }
    let (mut quoted, mut backslashes) = (String::from("\""), String::new());
    for c in text.chars() {
        quoted.push_str(if c == '"' { &backslashes } else { "" });
        quoted.push_str(if c == '"' { "\\" } else { "" });
        quoted.push(c);
        if c == '\\' { backslashes.push(c) } else { backslashes.clear() }
    }
    // Before a quote, programs take two backslashes for one.
    quoted.push_str(&backslashes);
    quoted.push('"');
    Some(Cow::Owned(quoted))
}

/// The command that keeps a file from others, by a list that has its owner alone, whoever that is; `file` is a word for a
/// shell, as in all of these.
pub(crate) fn how_to_keep(file: &str) -> String {
    format!("icacls {file} /inheritance:r /grant:r *S-1-3-4:F")
}

/// The command that makes a file writable.
pub(crate) const HOW_TO_MAKE_WRITABLE: &str = "attrib -r";

/// The command that makes a folder, and those above it. `cmd` takes what follows a slash for an option, as in `move`.
pub(crate) fn how_to_make_folder(folder: &str) -> String {
    format!("mkdir {}", folder.replace('/', "\\"))
}

/// The command that gives a file another name.
pub(crate) fn how_to_move(from: &str, to: &str) -> String {
    format!("move {} {}", from.replace('/', "\\"), to.replace('/', "\\"))
}

/// The command that lets PowerShell look into a folder first.
pub(crate) fn how_to_find_in(folder: &str) -> String {
    how_to_set("Path", &format!("{};$env:Path", folder.trim_matches('"')))
}

/// The command that sets a variable for the programs that PowerShell starts.
pub(crate) fn how_to_set(name: &str, value: &str) -> String {
    format!("$env:{name} = \"{value}\"")
}

/// What to do where plaintext is on a disk for a while.
pub(crate) const HOW_TO_STAY_IN_MEMORY: &str =
    "Windows has no folders in memory. Set TMP to a folder on an encrypted disk, if this one is not.";

/// The variables that name the folder of temporary files, and where it is without them.
pub(crate) const TEMPORARY: (&[&str], &str) = (&["TMP", "TEMP"], r"C:\Windows\Temp");

/// The console of this process: where a person types, and what they see.
pub(crate) fn terminal() -> io::Result<(File, File)> {
    // To be asked what is typed, it must be open for both.
    let open = |name| OpenOptions::new().read(true).write(true).share_mode(3).open(name);
    Ok((open("CONIN$")?, open("CONOUT$")?))
}

/// What this machine is called, as far as the system tells.
pub(crate) fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// The number of the user as whom this process runs. Windows has none.
pub(crate) fn user_id() -> Option<u32> {
    None
}

/// Sockets in the file system are not supported here, so nothing listens on one.
pub enum LocalListener {}

/// Listens on a socket of the file system.
pub(crate) fn listen_privately(_: &Path) -> io::Result<LocalListener> {
    Err(unsupported("sockets of the file system are not used on Windows: take --network tcp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_programs_take_them_apart() {
        for (text, expected) in [
            (r"C:\a\b.yaml", Some(r"C:\a\b.yaml")),
            (r"C:\a b\", Some(r#""C:\a b\\""#)),
            (r#"["a"]"#, Some(r#""[\"a\"]""#)),
            (r#"a\"b"#, Some(r#""a\\\"b""#)),
            ("", Some(r#""""#)),
            ("50%", None),
        ] {
            assert_eq!(quoted(text).as_deref(), expected, "{text}");
        }
    }
}
