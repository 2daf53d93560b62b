//! Connections: a reader of frames, and a writer that writes whole batches.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use longhaul_experiment::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::frame::{FrameError, FrameReader, FrameWriter, MESSAGE_BYTES_MAX, Received};

/// The most bytes that wait for a peer that does not read: 256 MiB beside the longest message.
/// Beyond, the connection ends.
const WAITING_BYTES_MAX: usize = (256 << 20) + MESSAGE_BYTES_MAX;

/// Binds a listener to a free port of an address of this machine.
///
/// # Errors
///
/// The system's.
pub async fn listen(address: IpAddr) -> io::Result<TcpListener> {
    TcpListener::bind((address, 0)).await
}

/// What a process that lives says first on every connection that it takes.
#[derive(Serialize, Deserialize)]
struct Welcome;

/// Connects to a listener whose process takes the connection.
///
/// # Errors
///
/// The system's; [`io::ErrorKind::ConnectionRefused`] when the listener hung up instead of calling
/// [`Outbound::welcome`]: its process is dead.
pub async fn dial(address: SocketAddr) -> io::Result<(Inbound, Outbound)> {
    let (mut inbound, outbound) = split(TcpStream::connect(address).await?)?;
    let welcome = inbound.receive::<Welcome>().await;
    welcome.map_err(|why| io::Error::new(io::ErrorKind::ConnectionRefused, why))?;
    Ok((inbound, outbound))
}

/// Takes the next connection of a listener. Who dialled waits for [`Outbound::welcome`], and is
/// refused when both halves are dropped before.
///
/// # Errors
///
/// The system's.
pub async fn accept(listener: &TcpListener) -> io::Result<(Inbound, Outbound)> {
    split(listener.accept().await?.0)
}

fn split(stream: TcpStream) -> io::Result<(Inbound, Outbound)> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    Ok((
        Inbound {
            stream: read,
            reader: FrameReader::default(),
        },
        Outbound::new(write),
    ))
}

/// The reading half.
#[derive(Debug)]
pub struct Inbound {
    stream: OwnedReadHalf,
    reader: FrameReader,
}

impl Inbound {
    /// Waits for bytes; `false` when the peer closed the connection.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(self.reader.buffer()).await? > 0)
    }

    /// Takes the next frame that has arrived whole.
    ///
    /// # Errors
    ///
    /// The peer sent something else than a frame.
    pub fn next_frame<T: DeserializeOwned>(&mut self) -> Result<Option<Received<T>>, FrameError> {
        self.reader.next_frame()
    }

    /// Waits for one frame.
    ///
    /// # Errors
    ///
    /// The connection ended, or what came was no frame.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Received<T>> {
        loop {
            let next = self
                .next_frame()
                .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
            if let Some(frame) = next {
                return Ok(frame);
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The writing half, for one thread. Dropping the last clone closes it.
#[derive(Clone, Debug)]
pub struct Outbound(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: OwnedWriteHalf,
    frames: RefCell<FrameWriter>,
    /// What is being written, and how far.
    writing: RefCell<(Vec<u8>, usize)>,
    /// Whether a task waits for the socket to take more.
    blocked: Cell<bool>,
    /// Whether writing failed: the other end is gone, as reading tells in its turn.
    broken: Cell<bool>,
    /// Whether this end closed the connection.
    closed: Cell<bool>,
    closing: Notify,
}

impl Outbound {
    fn new(stream: OwnedWriteHalf) -> Outbound {
        Outbound(Rc::new(Shared {
            stream,
            frames: RefCell::default(),
            writing: RefCell::default(),
            blocked: Cell::new(false),
            broken: Cell::new(false),
            closed: Cell::new(false),
            closing: Notify::new(),
        }))
    }

    /// Tells who dialled that the connection is taken; written with the next
    /// [`Outbound::flush`].
    pub fn welcome(&self) {
        // A message without content fits.
        let _ = self.push(Time::ZERO, &Welcome);
    }

    /// Adds a frame to the batch and returns its bytes.
    ///
    /// # Errors
    ///
    /// The message does not fit into a frame.
    pub fn push<T: Serialize>(&self, sent_at: Time, message: &T) -> Result<usize, FrameError> {
        self.0.frames.borrow_mut().push(sent_at, message)
    }

    /// Writes the batch as far as the socket takes it; a task of this thread writes the rest.
    pub fn flush(&self) {
        if self.0.is_over() {
            self.0.frames.borrow_mut().clear();
        } else if self.0.blocked.get() {
            if self.0.frames.borrow().len() > WAITING_BYTES_MAX {
                self.close();
            }
        } else {
            match self.0.write_some() {
                Ok(true) => {}
                Ok(false) => {
                    self.0.blocked.set(true);
                    let shared = Rc::clone(&self.0);
                    tokio::task::spawn_local(async move { shared.write_rest().await });
                }
                Err(_) => self.0.broken.set(true),
            }
        }
    }

    /// Ends the connection: nothing more is written, not even what waits.
    pub fn close(&self) {
        self.0.closed.set(true);
        self.0.closing.notify_waiters();
    }

    /// Waits until this side closed the connection.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

impl Shared {
    /// Writes until all is written (`true`) or the socket is full (`false`).
    fn write_some(&self) -> io::Result<bool> {
        let mut writing = self.writing.borrow_mut();
        let (buffer, written) = &mut *writing;
        loop {
            if *written == buffer.len() {
                buffer.clear();
                *written = 0;
                let mut frames = self.frames.borrow_mut();
                if frames.is_empty() {
                    return Ok(true);
                }
                frames.swap(buffer);
            }
            match self.stream.try_write(&buffer[*written..]) {
                Ok(bytes) => *written += bytes,
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(why) => return Err(why),
            }
        }
    }

    async fn write_rest(&self) {
        loop {
            let ready = tokio::select! {
                ready = self.stream.writable() => ready,
                () = self.closed() => break,
            };
            match ready.and_then(|()| self.write_some()) {
                Ok(false) => {}
                Ok(true) => break,
                Err(_) => {
                    self.broken.set(true);
                    break;
                }
            }
        }
        self.blocked.set(false);
    }

    async fn closed(&self) {
        while !self.closed.get() {
            self.closing.notified().await;
        }
    }

    fn is_over(&self) -> bool {
        self.broken.get() || self.closed.get()
    }
}
