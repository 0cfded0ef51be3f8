//! A network that cuts: after every class of byte offset of a stream, nothing of it is applied in
//! part, and the next stream makes good what is missing.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::rig::{Controller, Router, World};

/// A proxy that cuts connections after so many bytes of the answer: each takes the next number, and
/// is not cut when none is left.
struct Cutter {
    address: SocketAddr,
    passed: Arc<Mutex<Vec<usize>>>,
    served: JoinHandle<()>,
}

impl Cutter {
    async fn start(to: SocketAddr, mut cuts: Vec<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passed = Arc::new(Mutex::new(Vec::new()));
        let passing = Arc::clone(&passed);
        let served = tokio::spawn(async move {
            cuts.reverse();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (cut, passed) = (cuts.pop(), Arc::clone(&passing));
                tokio::spawn(async move {
                    let through = pass(client, to, cut).await;
                    passed.lock().push(through);
                });
            }
        });
        Self { address, passed, served }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.served.abort();
    }
}

/// Passes both directions on until the cut, and says how much was answered.
async fn pass(client: TcpStream, to: SocketAddr, cut: Option<usize>) -> usize {
    let server = TcpStream::connect(to).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let upward = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
    let (mut through, mut buffer) = (0, vec![0; 16 << 10]);
    loop {
        let left = cut.map_or(buffer.len(), |cut| buffer.len().min(cut - through));
        if left == 0 {
            break;
        }
        match from_server.read(&mut buffer[..left]).await {
            Ok(n) if n > 0 && to_client.write_all(&buffer[..n]).await.is_ok() => through += n,
            _ => break,
        }
    }
    upward.abort();
    through
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_never_applied_in_part() {
    let world = World::of(400);
    let controller = Controller::with(&world).await;
    // How long a whole one is.
    let whole = Cutter::start(controller.address, vec![usize::MAX]).await;
    let mut router = Router::start(whole.address, 1);
    router.serves(world.revision()).await;
    drop(router);
    while whole.passed.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    let length = whole.passed.lock()[0];
    assert!(length > 5_000, "{length}");

    let mut cuts = vec![0, 1, 40, 150, 300, length / 2, length - 1];
    cuts.extend((1..24).map(|n| n * length / 24));
    for (seed, cut) in (0..).zip(cuts) {
        let cutter = Cutter::start(controller.address, vec![cut]).await;
        let mut router = Router::start(cutter.address, seed);
        router.serves(world.revision()).await;
        assert_eq!(router.seen.lock().iter().copied().collect::<Vec<_>>(), [400], "cut at {cut}");
    }
}

#[tokio::test]
async fn what_is_served_stays_while_an_update_is_cut() {
    let mut world = World::of(300);
    let controller = Controller::with(&world).await;
    let before = world.revision();
    let address = controller.address;
    let cutter = Cutter::start(address, Vec::new()).await;
    let mut router = Router::start(cutter.address, 1);
    router.serves(before).await;
    drop(router);

    // A router that has it all, and whose next streams end in the middle of the update.
    let cutter = Cutter::start(address, vec![usize::MAX, 900, 2500]).await;
    let mut router = Router::start(cutter.address, 2);
    router.serves(before).await;
    controller.end().await;
    for n in 0..300 {
        world.alias(&format!("a{n:04}"), 8, "second");
    }
    let controller = Controller::start_at("one", address).await;
    controller.publish(&world);
    // Two swaps: the first snapshot, and the whole update.
    assert_eq!(router.serves(world.revision()).await, 2);
    assert_eq!(router.model("a0299").as_deref(), Some("second"));
}
