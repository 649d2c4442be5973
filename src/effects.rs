//! Carries out a meeting's orders: builds the vendor's request, sends it once, reads the answer.
//!
//! There are no retries and no decisions here: what came of an order goes back into the meeting as an event, and
//! the meeting decides.

use std::rc::Rc;

use attache_meeting::{
    audio::mp3_duration,
    http::{Advice, CallError, FailureKind, Outcome, Request, TransportError},
    ids::{BotId, UtteranceId},
    meeting::{self, Answer, Booking, Effect, Meeting, Order, SpeechFormat},
    page_token::PageClaims,
    transcript::from_final,
    vendors::{
        avatar::AvatarProvider,
        elevenlabs::{AudioFormat, ElevenLabsTts, SpeechRequest},
        recall::{
            AudioEndpoint, BotRequest, BotSnapshot, Presence, RecallClient, build_output_media_url,
        },
    },
};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    avatar::{AvatarCalls, PCM_BYTES_PER_MS},
    clock,
    config::Config,
    http::directory,
    log,
    objects::{
        Shell,
        calls::{TenantAsk, call_tenant},
        meeting_store::MAX_CLIP_BYTES,
    },
    vendor_http,
};

/// How many pages of bots a search reads; a meeting has one bot, so one page is already plenty.
const MAX_BOT_PAGES: u32 = 3;

/// Carries out one order; `None` when the meeting is not there any more.
pub(crate) async fn run(shell: &Rc<Shell>, order: Order) -> Option<Result<Answer, CallError>> {
    let booking = shell.with_meeting(|meeting| meeting.booking().clone())?;
    let config = match Config::of(&shell.env) {
        Ok(config) => config,
        Err(error) => {
            log::error(
                "the configuration is unusable",
                json!({ "reason": error.to_string() }),
            );
            return Some(Err(our_failure(
                &order.effect,
                "the configuration is unusable",
            )));
        }
    };
    let operation = order.effect.operation();
    let started = clock::now();
    let runner = Runner {
        shell,
        config: &config,
        booking: &booking,
        recall: RecallClient::new(&config.recall_base_url, config.recall_api_key.clone()),
    };
    let key = order.id.idempotency_key(&booking.id);
    let result = runner.carry_out(order.effect, &key).await;
    let mut fields = json!({
        "operation": operation,
        "meeting_id": booking.id,
        "tenant_id": booking.tenant_id,
        "bot_id": shell.with_meeting(|meeting| meeting.bot_id().cloned()).flatten(),
        "effect_id": order.id.to_string(),
        "attempt": order.attempt,
        "duration_ms": elapsed_ms(started),
    });
    match &result {
        Ok(_) => log::info("an order was carried out", fields),
        Err(error) => {
            fields["status"] = json!(error.status);
            fields["reason"] = json!(error.reason);
            log::warn("an order failed", fields);
        }
    }
    Some(result)
}

/// Gives a URL of the recording that was signed just now.
pub(crate) async fn fresh_recording_url(
    config: &Config,
    bot_id: &BotId,
) -> Result<Option<String>, CallError> {
    let recall = RecallClient::new(&config.recall_base_url, config.recall_api_key.clone());
    let bot = RecallClient::bot(send(&recall.get_bot(bot_id)).await)?;
    Ok(bot.recording_url().map(|url| url.expose().to_owned()))
}

struct Runner<'a> {
    shell: &'a Rc<Shell>,
    config: &'a Config,
    booking: &'a Booking,
    recall: RecallClient,
}

impl Runner<'_> {
    async fn carry_out(&self, effect: Effect, key: &str) -> Result<Answer, CallError> {
        let operation = effect.operation();
        let acknowledged = |outcome: Outcome| {
            RecallClient::acknowledged(operation, outcome).map(|()| Answer::Done)
        };
        let avatar = |provider| self.avatar(provider, operation);
        let recall = &self.recall;
        match effect {
            Effect::CreateBot { key, join_at } => {
                let bot = self.bot_request(join_at)?;
                let request = recall.create_bot(&bot, &key);
                let bot = RecallClient::created_bot(send(&request).await)?;
                Ok(Answer::BotCreated {
                    bot_id: bot.id,
                    delivers_sound: self.audio_endpoint().is_some() || self.booking.page_microphone,
                })
            }
            Effect::FindBots => self.find_bots().await,
            Effect::RecordBot { bot_id } => {
                let recorded =
                    directory::record_bot(&self.shell.env, &bot_id, &self.booking.id).await;
                recorded.map_err(|_| unavailable(operation))?;
                Ok(Answer::Done)
            }
            Effect::ReadBot { bot_id } => {
                let bot = RecallClient::bot(send(&recall.get_bot(&bot_id)).await)?;
                Ok(Answer::BotRead { bot: bot.into() })
            }
            Effect::DeleteBot { bot_id } => acknowledged(send(&recall.delete_bot(&bot_id)).await),
            Effect::LeaveCall { bot_id } => acknowledged(send(&recall.leave_call(&bot_id)).await),
            Effect::StopAudio { bot_id } => acknowledged(send(&recall.stop_audio(&bot_id)).await),
            Effect::DeleteMedia { bot_id } => {
                acknowledged(send(&recall.delete_media(&bot_id)).await)
            }
            Effect::SendChat { bot_id, text } => {
                acknowledged(send(&recall.send_chat_message(&bot_id, &text, key)).await)
            }
            Effect::Synthesize {
                utterance_id,
                text,
                voice_id,
                language,
                format,
            } => {
                let speech = SpeechRequest {
                    voice_id,
                    text,
                    format: audio_format(format),
                    language: Some(language),
                };
                self.synthesize(&utterance_id, &speech).await
            }
            Effect::OpenAvatar { provider } => avatar(provider)?.open().await,
            Effect::StartAvatar {
                provider,
                session_id,
            } => avatar(provider)?.start(&session_id).await,
            Effect::StopAvatar {
                provider,
                session_id,
            } => avatar(provider)?.stop(&session_id).await,
            Effect::CheckAvatar {
                provider,
                session_id,
            } => avatar(provider)?.check(&session_id).await,
            Effect::KeepAvatarAlive {
                provider,
                session_id,
            } => avatar(provider)?.keep_alive(&session_id).await,
            Effect::AvatarSay {
                provider,
                session_id,
                text,
            } => avatar(provider)?.say(&session_id, &text).await,
            Effect::AvatarInterrupt {
                provider,
                session_id,
            } => avatar(provider)?.interrupt(&session_id).await,
            Effect::AvatarReact {
                provider,
                session_id,
                reaction,
            } => avatar(provider)?.react(&session_id, reaction).await,
            Effect::PlayAudio {
                bot_id,
                utterance_id,
            } => self.play_audio(&bot_id, &utterance_id, key).await,
            Effect::FetchTranscript { bot_id } => self.fetch_transcript(&bot_id).await,
            Effect::UpdateIndex => self.update_index().await,
            Effect::Wipe => self.wipe().await,
        }
    }

    /// The calls at an avatar vendor.
    fn avatar(
        &self,
        provider: AvatarProvider,
        operation: &'static str,
    ) -> Result<AvatarCalls<'_>, CallError> {
        let vendor = self.config.avatar_vendor(provider);
        let vendor = vendor.map_err(|variable| CallError {
            kind: FailureKind::Forbidden,
            ..refused(operation, &format!("{variable} is not set"))
        })?;
        Ok(AvatarCalls {
            shell: self.shell,
            config: self.config,
            booking: self.booking,
            operation,
            vendor,
        })
    }

    fn bot_request(&self, join_at: Option<Timestamp>) -> Result<BotRequest, CallError> {
        Ok(BotRequest {
            meeting_url: self.booking.meeting_url.clone(),
            bot_name: self.booking.agent.name.clone(),
            company: self.booking.agent.company.clone(),
            join_at,
            meeting_id: self.booking.id.clone(),
            tenant_id: self.booking.tenant_id.clone(),
            presence: self.presence()?,
            language: self.booking.agent.language.clone(),
            public_url: self.config.public_url.clone(),
            audio_endpoint: self.audio_endpoint(),
            retention_hours: self.config.recall_retention_hours,
        })
    }

    fn presence(&self) -> Result<Presence, CallError> {
        if self.booking.presence == meeting::Presence::Voice {
            return Ok(Presence::Voice);
        }
        let expires = self.shell.with_meeting(Meeting::page_expires_at);
        let claims = PageClaims {
            meeting_id: self.booking.id.clone(),
            tenant_id: self.booking.tenant_id.clone(),
            expires_at: expires.unwrap_or_else(clock::now).as_second(),
        };
        let token = self.config.page_tokens.seal(&claims, clock::random());
        let (meeting, tenant) = (&self.booking.id, &self.booking.tenant_id);
        let url = build_output_media_url(&self.config.webapp_url, meeting, tenant, &token)
            .map_err(|_| refused("recall.create_bot", "MEETING_BOT_WEBAPP_URL is no URL"))?;
        Ok(Presence::Page { url })
    }

    /// Where the bot delivers the call's sound, if it is listened to.
    fn audio_endpoint(&self) -> Option<AudioEndpoint> {
        self.config.deepgram_api_key.as_ref()?;
        if self.booking.page_microphone {
            return None;
        }
        let origin = self.config.public_url.replacen("http", "ws", 1);
        let url = format!("{origin}/recall/media/{}/", self.booking.id);
        Some(AudioEndpoint { url })
    }

    async fn find_bots(&self) -> Result<Answer, CallError> {
        let mut bots = Vec::new();
        let mut page = Some(1);
        while let Some(number) = page.filter(|number| *number <= MAX_BOT_PAGES) {
            let request = self.recall.find_bots(&self.booking.id, number);
            let found = RecallClient::found_bots(&self.booking.id, send(&request).await)?;
            bots.extend(found.bots.into_iter().map(Into::into));
            page = found.next_page;
        }
        Ok(Answer::BotsFound { bots })
    }

    /// Makes the audio of an utterance and stores it, so that repeated attempts to play it send the same bytes.
    async fn synthesize(
        &self,
        utterance_id: &UtteranceId,
        speech: &SpeechRequest,
    ) -> Result<Answer, CallError> {
        let operation = "elevenlabs.synthesize_full";
        let Some(api_key) = &self.config.elevenlabs_api_key else {
            return Err(CallError {
                kind: FailureKind::Forbidden,
                ..refused(operation, "ELEVENLABS_API_KEY is not set")
            });
        };
        let tts = ElevenLabsTts::new(&self.config.elevenlabs_base_url, api_key.clone());
        let audio = ElevenLabsTts::speech(send(&tts.synthesize_full(speech)).await)?;
        let duration_ms = match speech.format {
            AudioFormat::Mp3_22050_32 => {
                let info = mp3_duration(&audio);
                let info = info.map_err(|error| refused(operation, &error.to_string()))?;
                if audio.len() > MAX_CLIP_BYTES {
                    return Err(refused(
                        operation,
                        "the audio is too long to be played in one piece",
                    ));
                }
                u64::try_from(info.duration.as_millis()).unwrap_or(u64::MAX)
            }
            AudioFormat::Pcm24000 => audio.len() as u64 / PCM_BYTES_PER_MS,
        };
        let stored = self.shell.store.put_clip(utterance_id, &audio);
        stored.map_err(|_| unavailable(operation))?;
        Ok(Answer::Synthesized {
            utterance_id: utterance_id.clone(),
            duration_ms,
        })
    }

    async fn play_audio(
        &self,
        bot_id: &BotId,
        utterance_id: &UtteranceId,
        key: &str,
    ) -> Result<Answer, CallError> {
        let operation = "recall.send_audio";
        let stored = self.shell.store.clip_part(utterance_id, 0);
        let audio = stored.map_err(|_| unavailable(operation))?;
        let audio = audio.ok_or_else(|| refused(operation, "the audio is not stored"))?;
        let request = self.recall.send_audio(bot_id, &audio, key);
        RecallClient::acknowledged(operation, send(&request).await)?;
        Ok(Answer::Done)
    }

    async fn fetch_transcript(&self, bot_id: &BotId) -> Result<Answer, CallError> {
        let bot: BotSnapshot = RecallClient::bot(send(&self.recall.get_bot(bot_id)).await)?;
        let listed = bot
            .recordings
            .iter()
            .any(|recording| recording.transcript.is_some());
        let spoken = if let Some(url) = bot.transcript_url() {
            RecallClient::transcript(send(&RecallClient::get_transcript(url)).await)?
        } else if listed {
            return Err(unavailable("recall.get_transcript"));
        } else {
            // Workspaces of the older API generation list no transcript.
            let request = self.recall.get_legacy_transcript(bot_id);
            let spoken = RecallClient::legacy_transcript(send(&request).await)?;
            if spoken.is_empty() {
                return Err(unavailable("recall.get_legacy_transcript"));
            }
            spoken
        };
        let segments = from_final(spoken);
        let stored = self.shell.store.put_final_transcript(&segments);
        stored.map_err(|_| unavailable("recall.get_transcript"))?;
        Ok(Answer::TranscriptStored {
            segments: segments.len() as u64,
        })
    }

    async fn update_index(&self) -> Result<Answer, CallError> {
        let current = |meeting: &Meeting| (meeting.view(), meeting.revision());
        let Some((view, revision)) = self.shell.with_meeting(current) else {
            return Ok(Answer::Done);
        };
        let ask = TenantAsk::Update {
            view: Box::new(view),
            revision,
        };
        let told = call_tenant(&self.shell.env, &self.booking.tenant_id, ask).await;
        told.map_err(|_| unavailable("tenant.update_index"))?;
        Ok(Answer::Done)
    }

    async fn wipe(&self) -> Result<Answer, CallError> {
        let ask = TenantAsk::Forget {
            meeting_id: self.booking.id.clone(),
        };
        let told = call_tenant(&self.shell.env, &self.booking.tenant_id, ask).await;
        told.map_err(|_| unavailable("meeting.wipe"))?;
        let wiped = self.shell.wipe().await;
        wiped.map_err(|_| unavailable("meeting.wipe"))?;
        Ok(Answer::Done)
    }
}

fn audio_format(format: SpeechFormat) -> AudioFormat {
    match format {
        SpeechFormat::Mp3 => AudioFormat::Mp3_22050_32,
        SpeechFormat::Pcm24000 => AudioFormat::Pcm24000,
    }
}

pub(crate) async fn send(request: &Request) -> Outcome {
    vendor_http::send(request).await
}

/// A part of ours did not answer; it may the next time.
pub(crate) fn unavailable(operation: &str) -> CallError {
    CallError::unanswered(operation, &TransportError::Connection)
}

/// Something that trying again does not change.
pub(crate) fn refused(operation: &str, reason: &str) -> CallError {
    CallError {
        operation: operation.to_owned(),
        status: None,
        code: None,
        kind: FailureKind::UnexpectedAnswer,
        reason: reason.to_owned(),
        advice: Advice::GiveUp,
        maybe_done: false,
    }
}

fn our_failure(effect: &Effect, reason: &str) -> CallError {
    CallError {
        advice: Advice::Retry { after: None },
        ..refused(effect.operation(), reason)
    }
}

fn elapsed_ms(started: Timestamp) -> i64 {
    i64::try_from(clock::now().duration_since(started).as_millis()).unwrap_or(i64::MAX)
}
