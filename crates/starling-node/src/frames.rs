//! Frames on streams: the header is read and checked before a byte of the body is buffered.

use starling_overlay::io::CallError;
use starling_proto::DecodeError;
use starling_proto::frame::{FrameHeader, FrameKind};
use starling_proto::message::{Refusal, Request, Response};
use tokio::sync::Semaphore;

use crate::transport::{ReceiveHalf, StreamEnded};

/// Why there is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRequest {
    /// The stream ended first.
    Ended,
    /// To be answered so.
    Refuse(Refusal),
}

/// Reads one request; the stream must end after it. `reading` bounds the bytes of all bodies that are being read.
pub(crate) async fn read_request<R: ReceiveHalf>(
    stream: &mut R,
    reading: &Semaphore,
) -> Result<Request, NoRequest> {
    let header = read_header(stream).await.map_err(NoRequest::from)?;
    if !header.kind.is_request() {
        return Err(NoRequest::Refuse(Refusal::Unknown));
    }
    let len = u32::try_from(header.len).map_err(|_| NoRequest::Refuse(Refusal::Malformed))?;
    let _bytes = reading.try_acquire_many(len).map_err(|_| NoRequest::Refuse(Refusal::Busy))?;
    let body = read_body(stream, header.len).await.map_err(NoRequest::from)?;
    Request::decode(header.kind, &body).map_err(|error| NoRequest::Refuse(refusal(&error)))
}

/// Reads the response to a request of the kind `asked`.
pub(crate) async fn read_response<R: ReceiveHalf>(
    stream: &mut R,
    asked: FrameKind,
) -> Result<Response, CallError> {
    let header = read_header(stream).await.map_err(CallError::from)?;
    if !header.kind.answers(asked) {
        return Err(CallError::Malformed);
    }
    let body = read_body(stream, header.len).await.map_err(CallError::from)?;
    Response::decode(header.kind, &body).map_err(|_| CallError::Malformed)
}

/// Why there is no frame.
enum NoFrame {
    Ended,
    Bad(DecodeError),
}

impl From<StreamEnded> for NoFrame {
    fn from(_: StreamEnded) -> Self {
        Self::Ended
    }
}

impl From<NoFrame> for NoRequest {
    fn from(error: NoFrame) -> Self {
        match error {
            NoFrame::Ended => Self::Ended,
            NoFrame::Bad(error) => Self::Refuse(refusal(&error)),
        }
    }
}

impl From<NoFrame> for CallError {
    fn from(error: NoFrame) -> Self {
        match error {
            NoFrame::Ended => Self::Closed,
            NoFrame::Bad(_) => Self::Malformed,
        }
    }
}

async fn read_header<R: ReceiveHalf>(stream: &mut R) -> Result<FrameHeader, NoFrame> {
    let mut header = [0; FrameHeader::LEN];
    stream.receive(&mut header).await?;
    FrameHeader::parse(&header).map_err(NoFrame::Bad)
}

async fn read_body<R: ReceiveHalf>(stream: &mut R, len: usize) -> Result<Vec<u8>, NoFrame> {
    let mut body = vec![0; len];
    if len > 0 {
        stream.receive(&mut body).await?;
    }
    if stream.ended().await? { Ok(body) } else { Err(NoFrame::Bad(DecodeError::Malformed("stream"))) }
}

fn refusal(error: &DecodeError) -> Refusal {
    match error {
        DecodeError::UnknownKind(_) => Refusal::Unknown,
        _ => Refusal::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of bytes that are all there; counts what was asked for.
    struct Bytes {
        left: Vec<u8>,
        asked: usize,
    }

    impl ReceiveHalf for Bytes {
        async fn receive(&mut self, buffer: &mut [u8]) -> Result<(), StreamEnded> {
            self.asked += buffer.len();
            if self.left.len() < buffer.len() {
                return Err(StreamEnded);
            }
            let rest = self.left.split_off(buffer.len());
            buffer.copy_from_slice(&self.left);
            self.left = rest;
            Ok(())
        }

        async fn ended(&mut self) -> Result<bool, StreamEnded> {
            Ok(self.left.is_empty())
        }

        fn stop(&mut self) {}
    }

    async fn request(bytes: &[u8]) -> (Result<Request, NoRequest>, usize) {
        let mut stream = Bytes { left: bytes.to_vec(), asked: 0 };
        let read = read_request(&mut stream, &Semaphore::new(1 << 20)).await;
        (read, stream.asked)
    }

    #[tokio::test]
    async fn a_request_is_read() {
        let frame = Request::Ping.to_frame().unwrap();
        assert_eq!(request(&frame).await.0, Ok(Request::Ping));
    }

    #[tokio::test]
    async fn wir_02_no_body_is_buffered_before_its_length_is_checked() {
        for len in [257_u32, u32::MAX] {
            let mut frame = vec![FrameKind::Hello.byte()];
            frame.extend(len.to_be_bytes());
            let (read, asked) = request(&frame).await;
            assert_eq!(read, Err(NoRequest::Refuse(Refusal::Malformed)));
            assert_eq!(asked, FrameHeader::LEN);
        }
    }

    #[tokio::test]
    async fn wir_08_an_unknown_kind_and_a_response_are_refused_as_unknown() {
        for byte in [0x7f, FrameKind::Pong.byte()] {
            let (read, _) = request(&[byte, 0, 0, 0, 0]).await;
            assert_eq!(read, Err(NoRequest::Refuse(Refusal::Unknown)));
        }
    }

    #[tokio::test]
    async fn wir_03_every_truncation_and_a_byte_too_many_are_refused() {
        let frame = FrameHeader::frame(FrameKind::Ping, &[8, 1]).unwrap();
        for cut in 0..frame.len() {
            assert_eq!(request(&frame[..cut]).await.0, Err(NoRequest::Ended), "{cut}");
        }
        let long = [frame.as_slice(), &[0]].concat();
        assert_eq!(request(&long).await.0, Err(NoRequest::Refuse(Refusal::Malformed)));
    }

    #[tokio::test]
    async fn a_body_beyond_the_budget_is_refused_as_busy() {
        let frame = FrameHeader::frame(FrameKind::Ping, &[0; 16]).unwrap();
        let mut stream = Bytes { left: frame, asked: 0 };
        let read = read_request(&mut stream, &Semaphore::new(15)).await;
        assert_eq!(read, Err(NoRequest::Refuse(Refusal::Busy)));
    }

    #[tokio::test]
    async fn an_answer_of_another_kind_is_malformed() {
        for (response, expected) in [
            (Response::Pong, Ok(Response::Pong)),
            (Response::Subscribed, Err(CallError::Malformed)),
            (Response::Refused(Refusal::Busy), Ok(Response::Refused(Refusal::Busy))),
        ] {
            let mut stream = Bytes { left: response.to_frame().unwrap(), asked: 0 };
            assert_eq!(read_response(&mut stream, FrameKind::Ping).await, expected);
        }
    }
}
