//! Who is shown to be here, through lost connections and restarts.

use std::task::Poll;
use std::time::Duration;

use abide_actors::testing::World;
use abide_actors::{
    CallError, ConnectError, ConnectRequest, Connection, Context, Deadline, Outgoing, Resumption,
    Session, actor,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Everybody is shown by the name in the query, and watches.
#[derive(Default, Serialize, Deserialize)]
struct Lobby;

#[actor]
impl Lobby {
    #[call]
    fn count(&self, ctx: &Context<Self>) -> usize {
        ctx.presence_count()
    }

    fn connected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), CallError> {
        ctx.allow_client_presence(true);
        session.present(&request.query)?;
        session.watch_presence();
        Ok(())
    }
}

async fn connect(
    world: &World,
    name: &str,
    resumption: Resumption,
) -> Result<Connection, ConnectError> {
    let node = world.runtime();
    let request = ConnectRequest {
        query: name.to_owned(),
        resumption,
        ..ConnectRequest::default()
    };
    let deadline = Deadline::after(Duration::from_secs(20));
    node.connect(&node.target("lobby", "hall")?, request, deadline)
        .await
}

/// Where the client of a connection would come back to.
fn way_back(connection: &Connection) -> Resumption {
    let token = connection.welcome().unwrap().token;
    Resumption::Resume { token, received: 0 }
}

/// The control messages of presence there are, without the escape before them.
async fn told(connection: &mut Connection) -> Vec<Value> {
    // Longer than the pause between two rounds.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut told = Vec::new();
    loop {
        let polled = std::future::poll_fn(|cx| Poll::Ready(connection.poll_outgoing(cx)));
        match polled.await {
            Poll::Ready(Outgoing::Control(text)) => {
                told.push(serde_json::from_str(&text.as_str()[1..]).unwrap());
            }
            Poll::Ready(Outgoing::Frame(frame)) => panic!("presence is not counted: {frame:?}"),
            Poll::Ready(_) => {}
            Poll::Pending => return told,
        }
    }
}

/// The names a first message tells of, in order.
fn listed(told: &[Value]) -> Vec<&str> {
    let listed = told[0]["sync"].as_array().expect("all of it comes first");
    let names = listed.iter().map(|member| member[1].as_str().unwrap());
    names.collect()
}

fn world() -> abide_actors::testing::Builder {
    World::builder().actor::<Lobby>("lobby")
}

#[test]
fn a_lost_connection_is_nobodys_leaving() {
    world().run(async |world| {
        let ada = connect(world, "ada", Resumption::New).await.unwrap();
        let mut bob = connect(world, "bob", Resumption::New).await.unwrap();
        assert_eq!(listed(&told(&mut bob).await), ["ada", "bob"]);

        let back = way_back(&ada);
        drop(ada);
        assert!(told(&mut bob).await.is_empty(), "she may come back");
        let mut ada = connect(world, "ada", back).await.unwrap();
        assert!(ada.welcome().unwrap().resumed);
        assert_eq!(listed(&told(&mut ada).await), ["ada", "bob"]);
        assert!(told(&mut bob).await.is_empty(), "she was never away");

        drop(ada);
        world.advance(Duration::from_secs(70)).await;
        let told = told(&mut bob).await;
        assert_eq!(told[0]["count"], json!(1));
        assert_eq!(told[0]["left"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn everybody_is_here_after_a_restart_in_the_order_they_came() {
    world().run(async |world| {
        let names = ["ada", "bob", "eve"];
        let (mut ways, mut before) = (Vec::new(), Vec::new());
        for name in names {
            let connection = connect(world, name, Resumption::New).await.unwrap();
            ways.push(way_back(&connection));
            before.push(connection);
        }
        world.restart().await;
        drop(before);
        // One after the other, the last first: whoever is not back yet is shown all the same.
        let mut connections = Vec::new();
        for (name, way) in names.into_iter().zip(ways).rev() {
            let mut connection = connect(world, name, way).await.unwrap();
            assert!(connection.welcome().unwrap().resumed);
            assert_eq!(listed(&told(&mut connection).await), names);
            connections.push(connection);
        }
        for connection in &mut connections {
            assert!(told(connection).await.is_empty(), "nobody came or went");
        }
        // What clients may do is kept, too.
        connections[0].presence(Some(&json!("evelyn"))).unwrap();
        let told = told(&mut connections[1]).await;
        assert_eq!(told[0]["updated"][0][1], json!("evelyn"));
    });
}

#[test]
fn after_a_crash_only_those_are_here_who_came_again() {
    world().run(async |world| {
        let ada = connect(world, "ada", Resumption::New).await.unwrap();
        let bob = connect(world, "bob", Resumption::New).await.unwrap();
        let back = way_back(&ada);
        world.crash().await;
        drop((ada, bob));
        let mut ada = connect(world, "ada", back).await.unwrap();
        assert!(!ada.welcome().unwrap().resumed);
        assert_eq!(listed(&told(&mut ada).await), ["ada"]);
        let count = world.actor::<Lobby>("hall").count().await.unwrap();
        assert_eq!(count, 1);
    });
}
