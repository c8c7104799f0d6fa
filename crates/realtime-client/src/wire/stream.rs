//! The bytes under a WebSocket: what came with the handshake first, and an end that is told only to who
//! reads.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of bytes that a WebSocket can run over.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// The stream as a library sees it.
pub(crate) struct Tracked {
    /// The bytes that came with the handshake. They are read first.
    read: Bytes,
    stream: Box<dyn ByteStream>,
    /// Why nothing can be written any more. The library is not told, because then it would stop reading, and
    /// the server's last messages explain the end. What the library writes is dropped.
    pub(crate) broken: Option<String>,
    /// Whether the server showed life since the last look.
    pub(crate) alive: bool,
    /// Bytes read so far.
    pub(crate) taken: u64,
    /// Bytes written so far.
    pub(crate) written: u64,
}

impl Tracked {
    pub(crate) fn new(stream: Box<dyn ByteStream>, read: Bytes) -> Self {
        // No bytes may still have a buffer.
        let read = if read.is_empty() { Bytes::new() } else { read };
        Self { read, stream, broken: None, alive: false, taken: 0, written: 0 }
    }
}

impl AsyncRead for Tracked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            return Poll::Ready(match buffer.filled().len() {
                // It does not matter whether it ends within a frame.
                after if after == before => Err(io::Error::new(io::ErrorKind::UnexpectedEof, CLOSED)),
                after => {
                    self.alive = true;
                    self.taken += (after - before) as u64;
                    Ok(())
                }
            });
        }
        let length = self.read.len().min(buffer.remaining());
        self.taken += length as u64;
        buffer.put_slice(&self.read.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_none() {
            match ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts)) {
                Ok(0) => self.broken = Some(io::Error::from(io::ErrorKind::WriteZero).to_string()),
                Ok(written) => {
                    self.written += written as u64;
                    return Poll::Ready(Ok(written));
                }
                Err(error) => self.broken = Some(error.to_string()),
            }
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_none()
            && let Err(error) = ready!(Pin::new(&mut self.stream).poll_flush(cx))
        {
            self.broken = Some(error.to_string());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The end of a stream without a close frame.
pub(crate) const CLOSED: &str = "the server closed the connection without a close frame";
