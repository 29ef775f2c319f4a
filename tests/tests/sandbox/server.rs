//! A server on loopback that answers as it is told and remembers everything that reached it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use castoff::capability::http::{HttpBackend, HttpConfig};
use castoff::capability::wire::Skip;
use castoff::clock::SimulatedClock;
use chrono::DateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A request as it arrived: the whole head, and what belongs to it by its length.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) head: String,
}

impl Arrived {
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// The server; it ends with the runtime of the test.
pub(crate) struct Server {
    base: Url,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Server {
    /// Answers every request with what `answer` makes of it: a whole response without its length and connection lines.
    pub(crate) async fn start(answer: fn(&Arrived) -> (String, String)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let base = format!("http://{}/", listener.local_addr().expect("an address"));
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let log = Arc::clone(&arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(async move { serve(stream, answer, &log).await });
            }
        });
        Self { base: Url::parse(&base).expect("an address"), arrived }
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The real back end; the named hosts are served from here, every other name and address is looked up.
    pub(crate) fn backend(&self, hosts: &[&str]) -> Arc<HttpBackend> {
        let clock = Arc::new(SimulatedClock::new(DateTime::UNIX_EPOCH));
        let mut config = HttpConfig::new(Arc::new(Skip::default()), clock);
        config.routes =
            hosts.iter().map(|&host| (host.to_owned(), self.base.clone())).collect::<BTreeMap<_, _>>();
        Arc::new(HttpBackend::new(config).expect("a back end"))
    }

    pub(crate) fn port(&self) -> u16 {
        self.base.port().unwrap_or_default()
    }
}

async fn serve(mut stream: TcpStream, answer: fn(&Arrived) -> (String, String), log: &Mutex<Vec<Arrived>>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    };
    let arrived = Arrived { head: String::from_utf8_lossy(&bytes[..end]).into_owned() };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(arrived.clone());
    let (head, body) = answer(&arrived);
    let whole =
        format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    // Whoever does not listen to the answer has hung up.
    let _ = stream.write_all(whole.as_bytes()).await;
}
