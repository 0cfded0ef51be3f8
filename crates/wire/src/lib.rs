//! The watch stream between controller and router: its frames, how they are written as lines of
//! JSON and read back, and what a router sends to ask for them.
//!
//! ```text
//! POST /v1/watch?router=NAME&protocol=1     the body: Held
//! <- HELLO  (UPSERT | HOLD | REMOVE | CREDENTIAL | HASHES | HASHKEY)*  COMMIT  FLEET  ...
//!    HEARTBEAT  ...  RECONNECT
//! ```
//!
//! One resource a frame, one frame a line. What came since the last COMMIT takes effect at once or
//! not at all: a COMMIT carries the revision of all resources and a checksum over every line since
//! the COMMIT before it. Unknown fields and unknown types of frames are ignored.
//!
//! A router may say where its admin port is (`&admin=HOST:PORT`): who serves the stream without a
//! cluster to ask finds it there.

mod codec;
mod credential;
mod frame;
mod hashes;
mod held;
mod kind;

pub use codec::{DecodeError, Decoder, EncodeError, Encoder};
pub use credential::{AdminToken, Credential, Written};
pub use frame::{
    Cause, Commit, Counts, CredentialFrame, Frame, Heartbeat, Hello, Hold, Reconnect, Remove,
    Unreadable, Upsert, hold_digest,
};
pub use hashes::{HashKey, Hashes, HashesFrame};
pub use held::{Held, HeldCredential, HeldHashes, HeldResource};
pub use kind::{Key, Kind};

/// The version of the protocol, the only one so far.
pub const PROTOCOL: u32 = 1;

/// Where the stream is served.
pub const PATH: &str = "/v1/watch";

/// The parts of the protocol beyond its first version that this build knows. A resource that
/// requires another one is rejected alone.
pub const FEATURES: &[&str] = &[];

/// The longest line of a frame, in bytes.
pub const MAX_LINE: usize = 4 << 20;

/// The largest resource in a frame, in bytes: a line without what stands around the resource.
pub const MAX_RESOURCE: usize = MAX_LINE - (16 << 10);

/// The largest body of a request for the stream, in bytes.
pub const MAX_HELD: usize = 32 << 20;
