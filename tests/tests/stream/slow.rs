//! A router that does not read: it costs a bounded amount, is spared what was replaced meanwhile,
//! and nobody waits for it.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use wire::{Decoder, Frame};

use crate::rig::{Controller, Router, World};

#[tokio::test]
async fn a_slow_router_is_sent_the_latest_alone_and_delays_nobody() {
    // One world is more than all buffers between the two sockets hold.
    let mut world = World::of(0);
    let large = "x".repeat(200_000);
    for n in 0..80 {
        world.alias(&format!("large{n:02}"), 7, &large);
    }
    let controller = Controller::with(&world).await;
    let mut slow = TcpStream::connect(controller.address).await.unwrap();
    let request = format!(
        "POST {}?router=slow&protocol=1 HTTP/1.0\r\nhost: c\r\ncontent-length: 0\r\n\r\n",
        wire::PATH
    );
    slow.write_all(request.as_bytes()).await.unwrap();
    // It has begun to be served, and reads no more.
    let mut got = vec![0; 1000];
    slow.read_exact(&mut got).await.unwrap();

    let mut quick = Router::start(controller.address, 1);
    quick.serves(world.revision()).await;
    for edit in 0..12 {
        world.alias("edited", 100 + edit, &format!("{edit}{large}"));
        controller.publish(&world);
        quick.serves(world.revision()).await;
    }

    // What was published meanwhile comes as one change: of 12 edits the last.
    let head = got.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut decoder = Decoder::default();
    decoder.push(&got[head..]);
    let (mut commits, mut edits, mut buffer) = (0, 0, vec![0; 64 << 10]);
    loop {
        while let Some(frame) = decoder.next_frame().unwrap() {
            match frame {
                Frame::Upsert(upsert) if &*upsert.id.name == "edited" => edits += 1,
                Frame::Commit(commit) => {
                    commits += 1;
                    if commit.revision == world.revision() {
                        assert_eq!((commits, edits), (2, 1));
                        return;
                    }
                }
                _ => {}
            }
        }
        let n = slow.read(&mut buffer).await.unwrap();
        assert!(n > 0, "the stream ended");
        decoder.push(&buffer[..n]);
    }
}
