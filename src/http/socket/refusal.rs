//! How a client that has its 101 already is told that it gets no session.

use std::time::Duration;

use abide_actors::Close;
use futures_util::SinkExt;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;

use super::pump::{say_goodbye, wire_frame};
use super::stream::SessionStream;
use crate::problem::Problem;
use crate::protocol::RequestId;
use crate::protocol::session::control;

/// How long the client may take to read why.
const SAY_TIMEOUT: Duration = Duration::from_secs(2);

/// Says why, and closes.
pub(super) async fn say(
    socket: &mut WebSocketStream<SessionStream>,
    problem: &Problem,
    id: &RequestId,
) {
    let said = wire_frame(control(&problem.refusal(id)), Data::Text);
    if let Ok(Ok(())) = timeout(SAY_TIMEOUT, socket.send(said)).await {
        say_goodbye(socket, Close::new(problem.close_code(), problem.title())).await;
    }
}
