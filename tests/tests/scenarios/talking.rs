//! What the delegate says and writes in a call, and what watchers of it are told.

use anyhow::{Result, ensure};
use attache_simulator::{Event, MeetingScript};

use crate::world::World;

/// The whole way through, once.
pub(crate) async fn a_delegate_is_booked_greets_talks_and_leaves_with_the_transcript_and_the_recording(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    ensure!(room.greetings_heard() == 1);
    room.happens(Event::Says {
        name: "Dana Whitfield".to_owned(),
        text: "Good to have you.".to_owned(),
    })?;
    room.until(|meeting| meeting["listening"]["segments"] == 1)
        .await?;

    room.api
        .say(&room.id, "Thank you, Dana.")
        .await?
        .expect(202)?;
    room.seen(|request| {
        request.operation == Some(attache_simulator::Operation::OutputAudio)
            && room.clips().len() == 2
    })
    .await?;

    room.api.delete_meeting(&room.id).await?.expect(202)?;
    let meeting = room.until_settled().await?;
    ensure!(meeting["transcript"]["state"] == "ready", "{meeting}");
    ensure!(meeting["recording"]["state"] == "ready", "{meeting}");
    let transcript = room.api.transcript(&room.id, "format=text").await?;
    ensure!(
        transcript.text.contains("Good to have you."),
        "{}",
        transcript.text
    );
    Ok(())
}
