//! Connections: a reader of frames, and a writer that writes whole batches.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use longhaul_experiment::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::frame::{FrameError, FrameReader, FrameWriter, MESSAGE_BYTES_MAX, Received};

/// The most bytes that wait for a peer that does not read: 256 MiB beside the longest message.
/// Beyond, the connection ends.
const WAITING_BYTES_MAX: usize = (256 << 20) + MESSAGE_BYTES_MAX;

/// Binds a listener to a free port of 127.0.0.1.
///
/// # Errors
///
/// The system's.
pub async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

/// Connects to a listener.
///
/// # Errors
///
/// The system's.
pub async fn dial(address: SocketAddr) -> io::Result<(Inbound, Outbound)> {
    split(TcpStream::connect(address).await?)
}

/// Takes the next connection of a listener.
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
    ended: Cell<bool>,
    end: Notify,
}

impl Outbound {
    fn new(stream: OwnedWriteHalf) -> Outbound {
        Outbound(Rc::new(Shared {
            stream,
            frames: RefCell::default(),
            writing: RefCell::default(),
            blocked: Cell::new(false),
            ended: Cell::new(false),
            end: Notify::new(),
        }))
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
        if self.0.blocked.get() || self.0.ended.get() {
            if self.0.frames.borrow().len() > WAITING_BYTES_MAX {
                self.close();
            }
            return;
        }
        match self.0.write_some() {
            Ok(true) => {}
            Ok(false) => {
                self.0.blocked.set(true);
                let shared = Rc::clone(&self.0);
                tokio::task::spawn_local(async move { shared.write_rest().await });
            }
            Err(_) => self.close(),
        }
    }

    /// Ends the connection: nothing more is written.
    pub fn close(&self) {
        self.0.ended.set(true);
        self.0.end.notify_one();
    }

    /// Waits until the connection ended on this side.
    pub async fn closed(&self) {
        while !self.0.ended.get() {
            self.0.end.notified().await;
        }
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
            let written = match self.stream.writable().await {
                Ok(()) => self.write_some(),
                Err(why) => Err(why),
            };
            match written {
                Ok(false) => {}
                Ok(true) => break,
                Err(_) => {
                    self.ended.set(true);
                    self.end.notify_one();
                    break;
                }
            }
        }
        self.blocked.set(false);
    }
}
