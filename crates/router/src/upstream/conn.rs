//! One connection, driven by whoever uses it: hyper's connection is polled from the request's own
//! task, first for the head and then for the body. So a response costs no wake-up of another task,
//! and dropping a request closes its connection at once. While a connection is idle nobody polls
//! it; whether the provider closed it is seen when it is taken from the pool or swept.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{
    error::{BodyLost, SendError, chain},
    io::{Observed, Received, Transport},
    pool::EndpointPool,
    segments::Segments,
};

/// A connection on which a request can be sent.
pub(super) struct Conn {
    sender: SendRequest<Segments>,
    /// `None` once the connection is done.
    driver: Option<http1::Connection<TokioIo<Observed>, Segments>>,
    received: Received,
    pub(super) opened: Instant,
}

/// Why a request was not answered, and the request itself where it was not sent.
pub(super) struct Unanswered {
    pub(super) unsent: Option<Request<Segments>>,
    pub(super) error: hyper::Error,
    pub(super) received: bool,
}

impl Conn {
    /// Speaks HTTP on a transport.
    pub(super) async fn new(transport: Transport) -> Result<Box<Self>, hyper::Error> {
        let (io, received) = Observed::new(transport);
        let (sender, driver) = http1::Builder::new().handshake(TokioIo::new(io)).await?;
        Ok(Box::new(Self { sender, driver: Some(driver), received, opened: Instant::now() }))
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(cx).is_ready()
        {
            // Its error, if any, has been told to whoever waits for the head or the body.
            self.driver = None;
        }
    }

    /// Whether it is still open, idle and ready for a request, as far as is known here.
    pub(super) fn is_usable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<Segments>,
    ) -> Result<Response<Incoming>, Unanswered> {
        self.received.store(false, Ordering::Relaxed);
        let mut response = std::pin::pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|cx| {
            if let Some(driver) = &mut self.driver
                && Pin::new(driver).poll(cx).is_ready()
            {
                self.driver = None;
            }
            response.as_mut().poll(cx)
        })
        .await
        .map_err(|mut error| Unanswered {
            unsent: error.take_message(),
            error: error.into_error(),
            received: self.received.load(Ordering::Relaxed),
        })
    }
}

impl Unanswered {
    /// What this is to the attempt loop.
    pub(super) fn into_error(self, reused: bool, who: &str) -> SendError {
        let Self { error, received, .. } = self;
        if error.is_parse() {
            let message = format!("{who} sent no HTTP response: {}", chain(&error));
            return SendError::Malformed { message };
        }
        let message = if received {
            format!("{who} closed the connection within the head of its answer: {}", chain(&error))
        } else {
            format!("{who} closed the connection before it answered: {}", chain(&error))
        };
        SendError::Lost { reused, before_response: !received, message }
    }
}

/// A response's body. Its connection goes back to the pool when it was read to its end; dropped
/// earlier, the connection is closed.
pub struct PooledBody {
    body: Incoming,
    /// `None` once it went back to the pool.
    conn: Option<Box<Conn>>,
    pool: Arc<EndpointPool>,
}

impl PooledBody {
    pub(super) fn new(body: Incoming, conn: Box<Conn>, pool: Arc<EndpointPool>) -> Self {
        let mut this = Self { body, conn: Some(conn), pool };
        if this.body.is_end_stream() {
            this.give_back();
        }
        this
    }

    /// The body is at its end: the connection goes back, if it can serve another request.
    fn give_back(&mut self) {
        if let Some(mut conn) = self.conn.take()
            && conn.is_usable()
        {
            self.pool.put(conn);
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = BodyLost;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyLost>>> {
        let this = &mut *self;
        let mut polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending()
            && let Some(conn) = &mut this.conn
        {
            // Asking was what the connection waited for before it reads on.
            conn.drive(cx);
            polled = Pin::new(&mut this.body).poll_frame(cx);
        }
        match &polled {
            Poll::Ready(Some(Err(_))) => this.conn = None,
            Poll::Ready(None) => this.give_back(),
            Poll::Ready(Some(Ok(_))) if this.body.is_end_stream() => this.give_back(),
            Poll::Pending | Poll::Ready(Some(Ok(_))) => {}
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(BodyLost)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl std::fmt::Debug for PooledBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PooledBody").field("body", &self.body).finish_non_exhaustive()
    }
}
