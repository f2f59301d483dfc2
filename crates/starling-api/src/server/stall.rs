//! A stream that gives up on a reader who does not read.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Fails a write that makes no progress for a given time. Reading has its own bounds in the layers above.
pub(super) struct StallGuard<S> {
    stream: S,
    time: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> StallGuard<S> {
    pub(super) const fn new(stream: S, time: Duration) -> Self {
        Self { stream, time, waiting: None }
    }

    /// Turns a write that has waited too long into an error.
    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let time = self.time;
        let timer = self.waiting.get_or_insert_with(|| Box::pin(sleep(time)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        // A flush that has nothing to do must not end the watch over a write that waits.
        if polled.is_ready() { polled } else { self.watch(context, polled) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_reader_who_never_reads_is_given_up() {
        let (near, _far) = duplex(8);
        let mut near = StallGuard::new(near, Duration::from_millis(20));
        let error = near.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_reader_who_reads_a_little_starts_the_time_anew() {
        let (near, mut far) = duplex(8);
        let mut near = StallGuard::new(near, Duration::from_secs(3600));
        near.write_all(&[0; 8]).await.unwrap();
        assert!(near.waiting.is_none());
        tokio::select! {
            biased;
            _ = near.write(&[0; 8]) => panic!("there is no room"),
            () = core::future::ready(()) => {}
        }
        assert!(near.waiting.is_some());
        // A flush that succeeds is no progress of the write.
        near.flush().await.unwrap();
        assert!(near.waiting.is_some());
        far.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(near.write(&[0; 8]).await.unwrap(), 4);
        assert!(near.waiting.is_none());
    }
}
