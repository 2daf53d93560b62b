//! TUN devices: network devices whose packets a program reads and writes
//! (Linux, Documentation/networking/tuntap.rst).

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::libc;

/// The file that makes devices.
pub const CLONE_FILE: &str = "/dev/net/tun";

/// The device's end in this program. The device is in the network namespace of the thread that
/// opened it, and ends when this is dropped.
#[derive(Debug)]
pub struct TunDevice {
    file: File,
}

impl TunDevice {
    /// Makes a device in the calling thread's network namespace. Packets begin with a
    /// `virtio_net_hdr` of 10 bytes; reads and writes never wait.
    ///
    /// # Errors
    ///
    /// [`CLONE_FILE`] is missing or may not be opened, or the thread may not administer its
    /// network namespace.
    pub fn open(name: &str) -> io::Result<TunDevice> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(CLONE_FILE)?;
        ioctl::set_interface(file.as_fd(), name)?;
        Ok(TunDevice { file })
    }

    /// Says what the kernel may leave to whoever reads: the checksum always, and with `segments`
    /// the cutting of up to 64 KB into TCP segments.
    ///
    /// # Errors
    ///
    /// The kernel is older than these offloads (2.6.27).
    pub fn set_offload(&self, segments: bool) -> io::Result<()> {
        ioctl::set_offload(self.file.as_fd(), segments)
    }

    /// Reads one packet with its header; `None` when there is none.
    ///
    /// # Errors
    ///
    /// The device has ended.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes one packet with its header: the kernel receives it.
    ///
    /// # Errors
    ///
    /// The kernel refuses the packet.
    pub fn write(&self, packet: &[u8]) -> io::Result<()> {
        (&self.file).write(packet).map(|_| ())
    }
}

impl AsFd for TunDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The two calls that no safe library offers without bringing a network stack along.
mod ioctl {
    #![allow(unsafe_code)]

    use std::io;
    use std::os::fd::{AsRawFd as _, BorrowedFd};

    use nix::libc::{self, c_int};
    use nix::{ioctl_write_int_bad, ioctl_write_ptr_bad, request_code_write};

    /// linux/if_tun.h.
    const TUN_F_CSUM: c_int = 0x01;
    const TUN_F_TSO4: c_int = 0x02;
    const TUN_F_TSO6: c_int = 0x04;
    const TUN_F_TSO_ECN: c_int = 0x08;

    ioctl_write_ptr_bad!(
        tun_set_interface,
        request_code_write!(b'T', 202, size_of::<c_int>()),
        libc::ifreq
    );
    ioctl_write_int_bad!(
        tun_set_offload,
        request_code_write!(b'T', 208, size_of::<c_int>())
    );

    pub(super) fn set_interface(file: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        // SAFETY: `ifreq` is plain integers and a union of such, for which all zeroes is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero: it ends the name.
        let room = request.ifr_name.len() - 1;
        if name.len() > room {
            return Err(io::Error::other(format!(
                "'{name}' is longer than {room} bytes"
            )));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        // SAFETY: the descriptor is open as long as it is borrowed, and the kernel reads and writes
        // within `request`, which lives until the call returns.
        unsafe { tun_set_interface(file.as_raw_fd(), &raw mut request) }?;
        Ok(())
    }

    pub(super) fn set_offload(file: BorrowedFd<'_>, segments: bool) -> io::Result<()> {
        let flags = if segments {
            TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN
        } else {
            TUN_F_CSUM
        };
        // SAFETY: the descriptor is open as long as it is borrowed, and the argument is a number.
        unsafe { tun_set_offload(file.as_raw_fd(), flags) }?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespaces::NetworkNamespace;

    #[test]
    fn a_device_is_in_the_namespace_of_its_thread_and_ends_with_it() {
        let Ok(namespace) = NetworkNamespace::create() else {
            eprintln!("skipped: network namespaces are not permitted here");
            return;
        };
        let devices = || std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let opened = namespace.run(|| TunDevice::open("wan0")).unwrap();
        let device = match opened {
            Ok(device) => device,
            Err(error) => {
                eprintln!("skipped: {CLONE_FILE} cannot be used here: {error}");
                return;
            }
        };
        device.set_offload(true).unwrap();
        device.set_offload(false).unwrap();
        assert!(namespace.run(devices).unwrap().contains("wan0"));
        assert!(!devices().contains("wan0"));
        assert_eq!(device.read(&mut [0; 2048]).ok(), Some(None));
        drop(device);
        assert!(!namespace.run(devices).unwrap().contains("wan0"));
    }
}
