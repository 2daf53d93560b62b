//! Where the files of networks are: a lock and a socket each, in a directory of the user's alone.
//!
//! The lock file says which process holds the network. It is stale, and the next command removes
//! it, when the lock is free and that process (boot, process id, start time) runs no more.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::unistd::geteuid;

use super::NetError;
use super::identity::ProcessIdentity;

/// How often a lock is tried again while its holder is on its way out, and how long apart.
const TRIES: u32 = 200;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The files of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    directory: PathBuf,
    name: String,
}

impl Place {
    /// Returns the place of a network of the calling user: in `XDG_RUNTIME_DIR/longhaul` where that
    /// is the user's own, otherwise in `/tmp/longhaul-UID`.
    ///
    /// # Errors
    ///
    /// The name cannot be a file's.
    pub fn of_user(name: &str) -> Result<Place, NetError> {
        Place::within(directory_of_user(), name)
    }

    /// Returns the place of a network in the given directory.
    ///
    /// # Errors
    ///
    /// The name cannot be a file's.
    pub fn within(directory: PathBuf, name: &str) -> Result<Place, NetError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(allowed) {
            return Err(NetError::Name(name.chars().take(40).collect()));
        }
        Ok(Place {
            directory,
            name: name.to_owned(),
        })
    }

    /// Returns the places of all networks that have a file in the calling user's directory, stale
    /// ones included, in alphabetical order.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn all_of_user() -> Result<Vec<Place>, NetError> {
        let directory = directory_of_user();
        let reading = || format!("reading '{}'", directory.display());
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(NetError::doing(reading()))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(NetError::doing(reading()))?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".lock"));
            names.extend(name.map(str::to_owned));
        }
        names.sort();
        let places = names
            .iter()
            .map(|name| Place::within(directory.clone(), name));
        Ok(places.filter_map(Result::ok).collect())
    }

    /// Returns the network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the directory that the files are in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the path of the socket on which the network is asked.
    pub fn socket(&self) -> PathBuf {
        self.file("sock")
    }

    /// Returns the path of a directory for files that programs need while they set the network up.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.file("scratch")
    }

    fn lock_file(&self) -> PathBuf {
        self.file("lock")
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}.{suffix}", self.name))
    }

    /// Returns who holds the network; `None` when nobody does.
    pub(crate) fn holder(&self) -> Option<ProcessIdentity> {
        let mut text = String::new();
        let mut file = File::open(self.lock_file()).ok()?;
        file.read_to_string(&mut text).ok()?;
        let holder: ProcessIdentity = serde_json::from_str(&text).ok()?;
        holder.is_running().then_some(holder)
    }

    /// Takes the lock and writes down that the calling process holds the network. What a network of
    /// that name left behind is removed.
    pub(crate) fn lock(&self) -> Result<HeldPlace, NetError> {
        let locking = || format!("locking '{}'", self.lock_file().display());
        for _ in 0..TRIES {
            self.make_directory()?;
            let mut file = match self.open_lock() {
                // The last network's holder has just removed the directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(NetError::doing(locking()))?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(self.in_use()),
                Err(TryLockError::Error(error)) => return Err(NetError::doing(locking())(error)),
            }
            if !self.is_lock_file(&file) {
                continue;
            }
            if self.holder().is_some() {
                return Err(self.in_use());
            }
            self.remove_leftovers();
            let holder = ProcessIdentity::current().map_err(NetError::doing("reading /proc"))?;
            write_holder(&mut file, &holder).map_err(NetError::doing(locking()))?;
            return Ok(HeldPlace {
                place: self.clone(),
                holder,
                _file: file,
            });
        }
        Err(self.in_use())
    }

    /// Removes the files of a network whose holder was killed, once its lock is free. Somebody
    /// else's files of the same name stay.
    pub(crate) fn remove_after(&self, holder: &ProcessIdentity) {
        for _ in 0..TRIES {
            let Ok(mut file) = OpenOptions::new()
                .read(true)
                .write(true)
                .open(self.lock_file())
            else {
                return;
            };
            if file.try_lock().is_ok() {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                let written: Option<ProcessIdentity> = serde_json::from_str(&text).ok();
                if read.is_ok() && self.is_lock_file(&file) && written.as_ref() == Some(holder) {
                    self.remove();
                }
                return;
            }
            thread::sleep(TRY_AGAIN_AFTER);
        }
    }

    /// Removes the files of this network if nobody holds it. Returns whether there were any.
    ///
    /// # Errors
    ///
    /// The network is up, or its directory is not the user's alone.
    pub fn remove_stale(&self) -> Result<bool, NetError> {
        if !self.lock_file().exists() {
            return Ok(false);
        }
        self.lock().map(|held| {
            drop(held);
            true
        })
    }

    fn in_use(&self) -> NetError {
        NetError::InUse {
            name: self.name.clone(),
            pid: self.holder().map_or(0, |holder| holder.pid),
        }
    }

    fn open_lock(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(self.lock_file())
    }

    /// Says whether the path still leads to the opened file: whoever held the lock before may have
    /// removed it in between.
    fn is_lock_file(&self, file: &File) -> bool {
        let opened = file.metadata().map(|file| (file.dev(), file.ino()));
        let named = fs::symlink_metadata(self.lock_file()).map(|file| (file.dev(), file.ino()));
        matches!((opened, named), (Ok(opened), Ok(named)) if opened == named)
    }

    fn make_directory(&self) -> Result<(), NetError> {
        let shown = || self.directory.display().to_string();
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(NetError::doing(format!("making '{}'", shown()))(error));
            }
            _ => {}
        }
        let refused = |why| NetError::Directory {
            directory: shown(),
            why,
        };
        let found = match fs::symlink_metadata(&self.directory) {
            // Removed by the last network's holder since: the next try makes it again.
            Err(_) => return Ok(()),
            Ok(found) => found,
        };
        if !found.is_dir() {
            return Err(refused("it is no directory"));
        }
        if found.uid() != geteuid().as_raw() {
            return Err(refused("it is another user's"));
        }
        if found.mode() & 0o077 != 0 {
            return Err(refused("others may enter it"));
        }
        Ok(())
    }

    fn remove_leftovers(&self) {
        // What is not there need not be removed.
        let _ = fs::remove_file(self.socket());
        let _ = fs::remove_dir_all(self.scratch());
    }

    /// Removes the network's files, and the directory if it is empty then.
    fn remove(&self) {
        self.remove_leftovers();
        let _ = fs::remove_file(self.lock_file());
        let _ = fs::remove_dir(&self.directory);
    }
}

/// The lock of a network; when it is dropped the network's files are removed.
#[derive(Debug)]
pub(crate) struct HeldPlace {
    place: Place,
    holder: ProcessIdentity,
    /// Locked until this is dropped.
    _file: File,
}

impl HeldPlace {
    /// Returns who holds it: the process that took the lock.
    pub(crate) fn holder(&self) -> &ProcessIdentity {
        &self.holder
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        // Still locked, so that nobody else's files are hit.
        self.place.remove();
    }
}

fn write_holder(file: &mut File, holder: &ProcessIdentity) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(holder)?.as_bytes())
}

fn directory_of_user() -> PathBuf {
    let user = geteuid();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own = runtime.filter(|directory| {
        fs::metadata(directory).is_ok_and(|found| found.is_dir() && found.uid() == user.as_raw())
    });
    match own {
        Some(directory) => directory.join("longhaul"),
        None => std::env::temp_dir().join(format!("longhaul-{user}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(directory: &tempfile::TempDir, name: &str) -> Place {
        Place::within(directory.path().join("nets"), name).unwrap()
    }

    #[test]
    fn a_name_is_a_file_name_and_nothing_else() {
        for name in ["", "a b", "../a", "a/b", "a.b", &"a".repeat(33)] {
            let refused = Place::within(PathBuf::from("/tmp"), name);
            assert!(matches!(refused, Err(NetError::Name(_))), "{name}");
        }
        assert!(Place::within(PathBuf::from("/tmp"), "run-12_b").is_ok());
    }

    #[test]
    fn a_network_that_is_held_cannot_be_held_again_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let first = place(&directory, "one");
        let held = first.lock().unwrap();
        let pid = std::process::id();
        assert!(matches!(
            first.lock(),
            Err(NetError::InUse { pid: found, .. }) if found == pid
        ));
        let second = place(&directory, "two").lock().unwrap();
        drop(held);
        assert!(first.holder().is_none());
        drop(second);
        assert!(!first.directory().exists());
    }

    #[test]
    fn the_files_of_a_dead_holder_are_stale_and_those_of_a_live_one_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory, "one");
        place.make_directory().unwrap();
        let this = ProcessIdentity::current().unwrap();
        let dead = ProcessIdentity {
            start_time: this.start_time + 1,
            ..this.clone()
        };
        let mut file = place.open_lock().unwrap();
        write_holder(&mut file, &dead).unwrap();
        fs::write(place.socket(), "").unwrap();
        assert!(place.remove_stale().unwrap());
        assert!(!place.directory().exists());

        // The lock is free, yet the process that wrote the file runs: not stale.
        place.make_directory().unwrap();
        let mut file = place.open_lock().unwrap();
        write_holder(&mut file, &this).unwrap();
        assert!(matches!(place.remove_stale(), Err(NetError::InUse { .. })));
    }

    #[test]
    fn only_the_files_of_the_holder_that_died_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory, "one");
        place.make_directory().unwrap();
        let this = ProcessIdentity::current().unwrap();
        let other = ProcessIdentity {
            pid: this.pid + 1,
            ..this.clone()
        };
        let mut file = place.open_lock().unwrap();
        write_holder(&mut file, &this).unwrap();
        drop(file);
        place.remove_after(&other);
        assert!(place.lock_file().exists());
        place.remove_after(&this);
        assert!(!place.directory().exists());
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let place = place(&directory, "one");
        place.make_directory().unwrap();
        fs::set_permissions(place.directory(), fs::Permissions::from_mode(0o755)).unwrap();
        let refused = place.lock().unwrap_err();
        assert!(
            refused.to_string().contains("others may enter it"),
            "{refused}"
        );
    }
}
