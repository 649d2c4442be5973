//! The calls around an avatar's session, each carried out once.

use std::{rc::Rc, time::Duration};

use attache_meeting::{
    http::{Advice, CallError, FailureKind},
    meeting::{Answer, Booking},
    page::Reaction,
    vendors::{
        avatar::{AvatarOptions, AvatarSessionId, AvatarVendor, VideoQuality},
        heygen::{Gesture, HeyGenClient, parts},
    },
};

use crate::{
    config::Config,
    effects::{refused, send, unavailable},
    objects::{
        Shell,
        calls::{TenantAsk, TenantReply, call_tenant},
    },
};

/// The avatar vendor of one meeting, for one order.
pub(crate) struct AvatarCalls<'a> {
    pub(crate) shell: &'a Rc<Shell>,
    pub(crate) config: &'a Config,
    pub(crate) booking: &'a Booking,
    pub(crate) operation: &'static str,
    pub(crate) vendor: AvatarVendor,
}

impl AvatarCalls<'_> {
    pub(crate) async fn open(&self) -> Result<Answer, CallError> {
        let options = self.options().await?;
        let outcome = send(&self.vendor.open(&options)).await;
        let opening = self.vendor.opened(outcome)?;
        Ok(Answer::AvatarOpened { opening })
    }

    pub(crate) async fn start(&self, session: &AvatarSessionId) -> Result<Answer, CallError> {
        let opening = self
            .shell
            .with_meeting(|meeting| meeting.avatar_opening(session).cloned())
            .flatten();
        let unknown = || refused(self.operation, "the session is not known any more");
        let opening = opening.ok_or_else(unknown)?;
        let outcome = send(&self.vendor.start(&opening)).await;
        let session = self.vendor.started(&opening, outcome)?;
        Ok(Answer::AvatarStarted { session })
    }

    pub(crate) async fn stop(&self, session: &AvatarSessionId) -> Result<Answer, CallError> {
        let outcome = send(&self.vendor.stop(session)).await;
        self.vendor.stopped(outcome)?;
        Ok(Answer::Done)
    }

    pub(crate) async fn check(&self, session: &AvatarSessionId) -> Result<Answer, CallError> {
        let outcome = send(&self.vendor.session_info(session)).await;
        let info = self.vendor.info(session, outcome)?;
        let live = info.is_some();
        Ok(Answer::AvatarChecked { live })
    }

    pub(crate) async fn keep_alive(&self, session: &AvatarSessionId) -> Result<Answer, CallError> {
        let outcome = send(&self.vendor.keep_alive(session)).await;
        AvatarVendor::acknowledged(self.operation, outcome)?;
        Ok(Answer::Done)
    }

    /// Gives the vendor the text part by part, which it says one after the other, until all of it is given or the
    /// avatar is silenced.
    pub(crate) async fn say(
        &self,
        session: &AvatarSessionId,
        text: &str,
    ) -> Result<Answer, CallError> {
        let heygen = self.heygen()?;
        let silenced = &self.shell.avatar.silenced;
        let before = silenced.get();
        let mut length = Duration::ZERO;
        for (place, part) in parts(text).iter().enumerate() {
            if silenced.get() != before {
                break;
            }
            let outcome = send(&heygen.speak(session, part)).await;
            let task = HeyGenClient::spoken(outcome).map_err(|error| match place {
                0 => error,
                // Trying again would say the parts before once more.
                _ => CallError {
                    advice: Advice::GiveUp,
                    maybe_done: true,
                    ..error
                },
            })?;
            length += Duration::from_millis(task.duration_ms);
        }
        let duration_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Ok(Answer::AvatarSays { duration_ms })
    }

    pub(crate) async fn interrupt(&self, session: &AvatarSessionId) -> Result<Answer, CallError> {
        self.shell.avatar.silence();
        let outcome = send(&self.heygen()?.interrupt(session)).await;
        AvatarVendor::acknowledged(self.operation, outcome)?;
        Ok(Answer::Done)
    }

    pub(crate) async fn react(
        &self,
        session: &AvatarSessionId,
        reaction: Reaction,
    ) -> Result<Answer, CallError> {
        let gesture = match reaction {
            Reaction::Nod => Gesture::Nod,
            Reaction::Interested => Gesture::Interested,
            Reaction::Thinking => Gesture::Thinking,
        };
        let outcome = send(&self.heygen()?.react(session, gesture)).await;
        AvatarVendor::acknowledged(self.operation, outcome)?;
        Ok(Answer::Done)
    }

    fn heygen(&self) -> Result<&HeyGenClient, CallError> {
        let client = self.vendor.heygen();
        client.ok_or_else(|| refused(self.operation, "the avatar's vendor has no such call"))
    }

    async fn options(&self) -> Result<AvatarOptions, CallError> {
        let avatar_id = self.booking.agent.avatar_id.clone();
        let avatar_id = avatar_id.ok_or_else(|| CallError {
            kind: FailureKind::AvatarUnknown,
            ..refused(self.operation, "the meeting names no avatar")
        })?;
        Ok(AvatarOptions {
            avatar_id,
            voice_id: self.voice_id().await?,
            quality: VideoQuality::High,
            encoding: self.config.avatar_encoding,
            max_duration: None,
            sandbox: false,
            reference: self.booking.id.to_string(),
        })
    }

    /// The voice of an avatar that has one of its own; without one the avatar's usual voice is heard.
    async fn voice_id(&self) -> Result<Option<String>, CallError> {
        if self.vendor.heygen().is_none() {
            return Ok(None);
        }
        let asked = call_tenant(
            &self.shell.env,
            &self.booking.tenant_id,
            TenantAsk::Settings,
        );
        let Ok(TenantReply::Settings(settings)) = asked.await else {
            return Err(unavailable(self.operation));
        };
        Ok(settings.or(&self.config.defaults).heygen_voice_id)
    }
}
