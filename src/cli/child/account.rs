//! The user as whom a command runs, if it is not ours: who that is, and how a program is started in their name.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::thread;

use crate::error::{Error, Kind, Result};
use crate::fs::{self, Reader};
use crate::os;

/// A user of this machine.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Account {
    name: String,
    home: String,
    uid: u32,
    gid: u32,
    /// All groups, the first one included.
    groups: Vec<u32>,
}

impl Account {
    /// The user of this name, with their groups.
    pub fn named(name: &str) -> Result<Self> {
        let read = |path: &str| {
            fs::read(Path::new(path), 64 << 20).map(|found| String::from_utf8_lossy(&found).into_owned())
        };
        let (users, groups) = os::accounts().map_err(|error| {
            Error::new(Kind::Other, format!("cannot run a command as {name}")).caused_by(error)
        })?;
        let unknown = || Error::new(Kind::Other, format!("there is no user `{name}` in {users}"));
        Self::find(name, &read(users)?, &read(groups)?).ok_or_else(unknown)
    }

    fn find(name: &str, users: &str, groups: &str) -> Option<Self> {
        let (uid, gid, home) = users.lines().find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            let [user, _, uid, gid, _, home, ..] = fields[..] else { return None };
            (user == name).then_some(Some((uid.parse().ok()?, gid.parse().ok()?, home))).flatten()
        })?;
        let member_of = |line: &str| -> Option<u32> {
            let fields: Vec<_> = line.split(':').collect();
            let [_, _, group, members, ..] = fields[..] else { return None };
            members.split(',').any(|member| member == name).then(|| group.parse().ok())?
        };
        let others = groups.lines().filter_map(member_of).filter(|group| *group != gid);
        let groups = std::iter::once(gid).chain(others).collect();
        Some(Self { name: name.to_owned(), home: home.to_owned(), uid, gid, groups })
    }

    /// What a program expects of its environment, as sops sets it.
    pub fn environment(&self) -> [(&'static str, OsString); 3] {
        let of = |text: &str| OsString::from(text);
        [("HOME", of(&self.home)), ("USER", of(&self.name)), ("LOGNAME", of(&self.name))]
    }

    /// Who reads files that are made for them.
    pub fn reader(&self) -> Reader {
        Reader { uid: self.uid, gid: self.gid }
    }

    /// Does something as this user, such as to start a program, without any right of ours.
    ///
    /// It is done in a thread of its own, since the kernel knows threads and no processes here: all others go on as they
    /// are.
    pub fn act<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T> {
        let done = thread::scope(|scope| {
            let acting = scope.spawn(|| os::become_user(self.uid, self.gid, &self.groups).map(|()| act()));
            acting.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        });
        done.map_err(|error| {
            Error::new(Kind::Other, format!("cannot run a command as {}", self.name))
                .caused_by(error)
                .advise("Only root can run commands as another user.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_with_all_their_groups() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\nshort:x:1\nann:x:7:8:Ann,,:/home/ann:/bin/sh\nbad:x:-1:0::/:\n";
        let groups = "root:x:0:\nann:x:8:ann\nwheel:x:9:bob,ann\nannex:x:10:annex\nbroken\nbad:x:y:ann\n";
        let found = |name| Account::find(name, users, groups);
        let ann =
            Account { name: "ann".into(), home: "/home/ann".into(), uid: 7, gid: 8, groups: vec![8, 9] };
        assert_eq!(found("ann"), Some(ann));
        assert_eq!(found("root").unwrap().groups, [0]);
        for nobody in ["short", "bad", "nobody-of-this-name", ""] {
            assert_eq!(found(nobody), None, "{nobody}");
        }
    }
}
