//! Access lists: what is for its owner alone has one that names the user and nobody else, and takes nothing from its folder.
//! It has it from its first moment on.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{
    GENERIC_ALL, GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_FILE_OBJECT, SetSecurityInfo,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, EqualSid, GetAce,
    GetSecurityDescriptorControl, GetTokenInformation, INHERIT_ONLY_ACE, IsWellKnownSid,
    PROTECTED_DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SE_DACL_PROTECTED, SECURITY_ATTRIBUTES,
    TOKEN_QUERY, TOKEN_USER, TokenUser, UNPROTECTED_DACL_SECURITY_INFORMATION, WinBuiltinAdministratorsSid,
    WinCreatorOwnerRightsSid, WinLocalSystemSid,
};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_APPEND_DATA, FILE_ATTRIBUTE_NORMAL,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_READ_DATA, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
    FILE_WRITE_DATA, GetVolumeInformationByHandleW, READ_CONTROL, WRITE_DAC, WRITE_OWNER,
};
use windows_sys::Win32::System::SystemServices::{
    ACCESS_ALLOWED_ACE_TYPE, ACCESS_ALLOWED_CALLBACK_ACE_TYPE, ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE,
    ACCESS_ALLOWED_OBJECT_ACE_TYPE, FILE_PERSISTENT_ACLS,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::{unsupported, wide};
use crate::os::Users;

/// Memory that the system has given, and that is to be given back.
struct Given<T>(*mut T);

impl<T> Drop for Given<T> {
    fn drop(&mut self) {
        // SAFETY: the system gave it by LocalAlloc, and it is given back once.
        unsafe { LocalFree(self.0.cast()) };
    }
}

fn checked(done: i32) -> io::Result<()> {
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn checked_code(code: u32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.cast_signed())) }
}

/// The user of this process, as the system has it in memory that lives as long as this.
struct User(Vec<u64>);

impl User {
    fn ours() -> io::Result<Self> {
        let (mut token, mut length) = (null_mut(), 0);
        // SAFETY: what is written to lives, and has the size that is said; the handle is closed once.
        unsafe {
            checked(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token))?;
            let token = OwnedHandle::from_raw_handle(token);
            GetTokenInformation(token.as_raw_handle(), TokenUser, null_mut(), 0, &raw mut length);
            // In words of eight bytes, so that there can be pointers in it.
            let mut user = vec![0_u64; (length as usize).div_ceil(8).max(1)];
            let into = user.as_mut_ptr().cast();
            checked(GetTokenInformation(token.as_raw_handle(), TokenUser, into, length, &raw mut length))?;
            Ok(Self(user))
        }
    }

    fn sid(&self) -> PSID {
        // SAFETY: the system has filled it with one, and it is aligned for it.
        unsafe { (*self.0.as_ptr().cast::<TOKEN_USER>()).User.Sid }
    }

    /// As it is written in descriptions of access.
    fn text(&self) -> io::Result<String> {
        let mut text = null_mut();
        // SAFETY: the user lives, and the text that is given ends with a zero.
        unsafe {
            checked(ConvertSidToStringSidW(self.sid(), &raw mut text))?;
            let text = Given(text);
            let length = (0..).take_while(|at| *text.0.add(*at) != 0).count();
            Ok(String::from_utf16_lossy(std::slice::from_raw_parts(text.0, length)))
        }
    }
}

/// What names the user as owner and gives them everything, nobody else anything, and takes nothing from the folder.
fn for_owner_alone(of_folder: bool) -> io::Result<Given<core::ffi::c_void>> {
    let user = User::ours()?.text()?;
    let inherited = if of_folder { "OICI" } else { "" };
    let text = wide(format!("O:{user}D:P(A;{inherited};FA;;;{user})").as_ref())?;
    let mut description: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the text ends with a zero, and what is written to lives.
    checked(unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut description,
            null_mut(),
        )
    })?;
    Ok(Given(description))
}

fn attributes(description: &Given<core::ffi::c_void>) -> SECURITY_ATTRIBUTES {
    let length = size_of::<SECURITY_ATTRIBUTES>() as u32;
    SECURITY_ATTRIBUTES { nLength: length, lpSecurityDescriptor: description.0, bInheritHandle: 0 }
}

/// Makes a file to read and write; an error where something is already, and where it is to be for its owner alone on a volume
/// that cannot keep that.
pub(crate) fn create_file(path: &Path, users: Users) -> io::Result<File> {
    let name = wide(std::path::absolute(path)?.as_os_str())?;
    let description = match users {
        Users::Owner | Users::OwnerAtFirst => Some(for_owner_alone(false)?),
        Users::All | Users::AllRun => None,
    };
    let attributes = description.as_ref().map(attributes);
    // SAFETY: the name ends with a zero, and what is pointed to lives as long as the call; the handle is ours alone.
    let file = unsafe {
        let handle = CreateFileW(
            name.as_ptr(),
            GENERIC_READ | GENERIC_WRITE | READ_CONTROL | WRITE_DAC,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            attributes.as_ref().map_or(null(), |attributes| &raw const *attributes),
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL,
            null_mut(),
        );
        if handle == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_handle(handle)
    };
    if users == Users::Owner && !has_lists(file.as_raw_handle())? {
        drop(file);
        // There is nothing in it yet.
        let _ = std::fs::remove_file(path);
        return Err(no_lists());
    }
    Ok(file)
}

/// Makes a folder, for its owner alone if that is meant; an error where something is already.
pub(crate) fn create_folder(path: &Path, users: Users) -> io::Result<()> {
    let name = wide(std::path::absolute(path)?.as_os_str())?;
    let description = match users {
        Users::Owner | Users::OwnerAtFirst => Some(for_owner_alone(true)?),
        Users::All => None,
        Users::AllRun => return Err(unsupported("folders are not shared with another user on Windows")),
    };
    let attributes = description.as_ref().map(attributes);
    let attributes = attributes.as_ref().map_or(null(), |attributes| &raw const *attributes);
    // SAFETY: the name ends with a zero, and what is pointed to lives as long as the call.
    checked(unsafe { CreateDirectoryW(name.as_ptr(), attributes) })?;
    if users == Users::Owner {
        let folder = OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
        if !has_lists(folder.as_raw_handle())? {
            drop(folder);
            let _ = std::fs::remove_dir(path);
            return Err(no_lists());
        }
    }
    Ok(())
}

fn no_lists() -> io::Error {
    unsupported(
        "this volume keeps no access lists, so what is written here would be for everybody (is it FAT?)",
    )
}

/// Whether the volume of a file keeps access lists.
fn has_lists(file: RawHandle) -> io::Result<bool> {
    let mut flags = 0;
    // SAFETY: the handle is open, and what is written to lives.
    checked(unsafe {
        GetVolumeInformationByHandleW(
            file,
            null_mut(),
            0,
            null_mut(),
            null_mut(),
            &raw mut flags,
            null_mut(),
            0,
        )
    })?;
    Ok(flags & FILE_PERSISTENT_ACLS != 0)
}

/// What the system says of who may do what with something that is open.
struct List {
    description: Given<core::ffi::c_void>,
    entries: *mut ACL,
}

impl List {
    fn of(file: RawHandle) -> io::Result<Self> {
        let (mut entries, mut description) = (null_mut(), null_mut());
        // SAFETY: the handle is open, and what is written to lives. The list is a part of the description.
        checked_code(unsafe {
            GetSecurityInfo(
                file,
                SE_FILE_OBJECT,
                DACL_SECURITY_INFORMATION,
                null_mut(),
                null_mut(),
                &raw mut entries,
                null_mut(),
                &raw mut description,
            )
        })?;
        Ok(Self { description: Given(description), entries })
    }

    /// Whether it takes nothing from its folder.
    fn is_on_its_own(&self) -> io::Result<bool> {
        let (mut control, mut revision) = (0, 0);
        // SAFETY: the description lives, and so does what is written to.
        checked(unsafe {
            GetSecurityDescriptorControl(self.description.0, &raw mut control, &raw mut revision)
        })?;
        Ok(control & SE_DACL_PROTECTED != 0)
    }
}

/// Who may do what with a file that is there, so that a new version of it can have the same. What was made for its owner
/// alone stays like that if there is no such list.
pub(crate) struct Access(Option<List>);

impl Access {
    /// That of what was looked at.
    pub fn of(path: &Path, _: &Metadata) -> io::Result<Self> {
        let file = OpenOptions::new().access_mode(READ_CONTROL).open(path)?;
        match has_lists(file.as_raw_handle())? {
            true => List::of(file.as_raw_handle()).map(|list| Self(Some(list))),
            false => Ok(Self(None)),
        }
    }

    /// Without anybody but the user.
    pub fn without_others(self) -> Self {
        Self(None)
    }

    /// Gives it to another file, which we have made.
    pub fn give(&self, to: &File) -> io::Result<()> {
        let Some(list) = &self.0 else { return Ok(()) };
        let own = match list.is_on_its_own()? {
            true => PROTECTED_DACL_SECURITY_INFORMATION,
            false => UNPROTECTED_DACL_SECURITY_INFORMATION,
        };
        // SAFETY: the handle is open, and the list lives.
        checked_code(unsafe {
            SetSecurityInfo(
                to.as_raw_handle(),
                SE_FILE_OBJECT,
                DACL_SECURITY_INFORMATION | own,
                null_mut(),
                null_mut(),
                list.entries,
                null(),
            )
        })
    }
}

/// Whether others than the user, the system and its administrators may read or write an open file.
pub(crate) fn is_open_to_others(file: &File) -> io::Result<bool> {
    is_handle_open_to_others(file)
}

pub(crate) fn is_handle_open_to_others(file: &impl AsRawHandle) -> io::Result<bool> {
    const OPEN: u32 = FILE_READ_DATA
        | FILE_WRITE_DATA
        | FILE_APPEND_DATA
        | WRITE_DAC
        | WRITE_OWNER
        | GENERIC_READ
        | GENERIC_WRITE
        | GENERIC_ALL;
    const ALLOWING: [u32; 4] = [
        ACCESS_ALLOWED_ACE_TYPE,
        ACCESS_ALLOWED_OBJECT_ACE_TYPE,
        ACCESS_ALLOWED_CALLBACK_ACE_TYPE,
        ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE,
    ];
    let file = file.as_raw_handle();
    if !has_lists(file)? {
        return Ok(true);
    }
    let (list, user) = (List::of(file)?, User::ours()?);
    // Without a list everybody may do everything.
    if list.entries.is_null() {
        return Ok(true);
    }
    // SAFETY: the list lives, and says itself how many entries it has. Each begins with a header; those that allow something
    // go on with what they allow, and the simple ones with whom.
    unsafe {
        for at in 0..u32::from((*list.entries).AceCount) {
            let mut entry = null_mut();
            checked(GetAce(list.entries, at, &raw mut entry))?;
            let header = *entry.cast::<ACE_HEADER>();
            let is_of_children = u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0;
            if is_of_children || !ALLOWING.contains(&u32::from(header.AceType)) {
                continue;
            }
            let entry = entry.cast::<ACCESS_ALLOWED_ACE>();
            if (*entry).Mask & OPEN == 0 {
                continue;
            }
            let whom: PSID = (&raw mut (*entry).SidStart).cast();
            let is_simple = u32::from(header.AceType) == ACCESS_ALLOWED_ACE_TYPE;
            let trusted = [WinLocalSystemSid, WinBuiltinAdministratorsSid, WinCreatorOwnerRightsSid];
            let is_trusted = EqualSid(whom, user.sid()) != 0
                || trusted.iter().any(|trusted| IsWellKnownSid(whom, *trusted) != 0);
            if !(is_simple && is_trusted) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
