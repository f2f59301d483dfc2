//! API-06: whatever is poured in, the answer is a refusal and memory stays flat.

use std::time::Duration;

use starling_api::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, Door};

/// More than the sockets' buffers of both sides ever hold.
const BUFFERS: usize = 64 * 1024 * 1024;

/// Writes `piece` again and again until the server hangs up or `enough` bytes have gone.
async fn pour(mut to: impl tokio::io::AsyncWrite + Unpin, piece: &[u8], enough: usize) -> usize {
    let mut gone = 0;
    while gone < enough {
        if to.write_all(piece).await.is_err() {
            break;
        }
        gone += piece.len();
    }
    gone
}

fn head(door: &Door, length: &str) -> String {
    format!(
        "POST /api/v1/search HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{length}\r\n\r\n",
        door.address(),
        door.token()
    )
}

/// Sends `head`, pours `piece`, and reads the answer meanwhile; the answer, and how much went in.
async fn flood(door: &Door, head: &str, piece: &[u8]) -> (Answer, usize) {
    let mut stream = door.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, writer) = stream.into_split();
    let reading = async {
        let mut text = Vec::new();
        // A reset after the answer is how the server stops the flood.
        let mut byte = [0; 1024];
        while let Ok(got @ 1..) = reader.read(&mut byte).await {
            text.extend_from_slice(&byte[..got]);
        }
        String::from_utf8(text).unwrap()
    };
    let (text, gone) = tokio::join!(reading, pour(writer, piece, BUFFERS));
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (Answer { status, head: text, body: String::new() }, gone)
}

#[tokio::test]
async fn api_06_a_gigabyte_is_refused_by_its_length() {
    let door = Door::open().await;
    let (answer, gone) = flood(&door, &head(&door, "Content-Length: 1073741824"), &[b' '; 65_536]).await;
    assert_eq!(answer.status, 413);
    assert!(gone < BUFFERS, "the server hung up");
    assert_eq!(door.node.commands(), []);
}

#[tokio::test]
async fn api_06_endless_chunks_are_refused() {
    let door = Door::open().await;
    let mut piece = b"1000\r\n".to_vec();
    piece.extend_from_slice(&[b' '; 0x1000]);
    piece.extend_from_slice(b"\r\n");
    let (answer, gone) = flood(&door, &head(&door, "Transfer-Encoding: chunked"), &piece).await;
    assert_eq!(answer.status, 413);
    assert!(gone < BUFFERS, "the server hung up");
}

#[tokio::test]
async fn api_06_without_a_token_no_body_is_read() {
    let door = Door::open().await;
    let head = head(&door, "Content-Length: 1073741824").replace("Bearer ", "Bearer 0");
    let (answer, gone) = flood(&door, &head, &[b' '; 65_536]).await;
    assert_eq!(answer.status, 401);
    assert!(gone < BUFFERS, "the server hung up");
}

#[tokio::test]
async fn api_06_a_body_that_never_comes_times_out() {
    let door = Door::open_with(|config| config.timeouts.body = Duration::from_millis(50)).await;
    let mut stream = door.connect().await;
    stream.write_all(head(&door, "Content-Length: 10").as_bytes()).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    let answer = Answer::read(&mut stream).await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "body_too_slow"));
}

#[tokio::test]
async fn api_06_idle_and_half_open_connections_are_closed() {
    let door = Door::open_with(|config| config.timeouts.head = Duration::from_millis(50)).await;
    for begun in ["", "GET /api/v1/status HT", "GET /api/v1/status HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = door.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        assert!(ends(&mut stream).await, "{begun:?}");
    }
    // One that has been served and then says no more.
    let mut stream = door.connect().await;
    let request = door.request("GET", "/api/v1/status", "").to_string().replace("Connection: close\r\n", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.status, 200);
    assert!(ends(&mut stream).await);
}

/// Whether the server hangs up without another word.
async fn ends(stream: &mut TcpStream) -> bool {
    let mut left = Vec::new();
    !matches!(stream.read_to_end(&mut left).await, Ok(1..))
}

#[tokio::test]
async fn api_06_heads_are_capped() {
    let door = Door::open().await;
    let long = "x".repeat(limits::HEAD_BYTES);
    let honest = door.request("GET", "/api/v1/status", "");
    assert_eq!(door.send(&honest.clone().and("X-Long", &long)).await.status, 431);
    let mut many = honest;
    for number in 0..limits::HEADERS {
        many = many.and(&format!("X-{number}"), "x");
    }
    assert_eq!(door.send(&many).await.status, 431);
    assert_eq!(door.node.commands(), []);
}

#[tokio::test]
async fn tls_and_noise_are_answered_with_400_or_closed() {
    let door = Door::open().await;
    let client_hello: &[u8] = &[
        0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05,
        0x06,
    ];
    for noise in
        [client_hello, b"\0\0\0\0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"SSH-2.0-x\r\n\r\n"]
    {
        let mut stream = door.connect().await;
        stream.write_all(noise).await.unwrap();
        let answer = Answer::read(&mut stream).await;
        assert!([0, 400].contains(&answer.status), "{noise:?}: {answer:?}");
    }
    assert_eq!(door.send(&door.request("GET", "/api/v1/status", "")).await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_waits_for_a_place() {
    let door = Door::open().await;
    let request = door.request("GET", "/api/v1/status", "").to_string().replace("Connection: close\r\n", "");
    let mut idle = Vec::new();
    for _ in 1..limits::CONNECTIONS {
        idle.push(door.connect().await);
    }
    // The last place: once it answers, all others have been taken, since the kernel hands them over in order.
    let mut last = door.connect().await;
    last.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut last).await.status, 200);
    let mut waiting = door.connect().await;
    waiting.write_all(request.as_bytes()).await.unwrap();
    last.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut last).await.status, 200);
    assert!(waiting.try_read(&mut [0; 1]).is_err(), "nobody serves it yet");
    idle.pop();
    assert_eq!(Answer::read(&mut waiting).await.status, 200);
}
