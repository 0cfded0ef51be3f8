//! The sum of an answer's events.

use super::{
    event::{Choice, Delta, Event, Kind, Reply},
    message::{Call, Media, Part, Reasoning, Source},
};
use crate::{failure::Failure, tree::Json};

/// Adds events up to a [`Reply`].
#[derive(Clone, Debug, Default)]
pub struct Collector {
    reply: Reply,
    failure: Option<Failure>,
}

impl Collector {
    /// The sum of these events; the failure among them, if there is one.
    pub fn collect(events: impl IntoIterator<Item = Event>) -> Result<Reply, Failure> {
        let mut collector = Self::default();
        for event in events {
            collector.add(&event);
        }
        match collector.failure {
            Some(failure) => Err(failure),
            None => Ok(collector.reply),
        }
    }

    /// What was added up so far.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// Adds an event.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Start(start) => self.reply.start.clone_from(start),
            Event::Open { choice, kind, .. } => {
                let part = match kind {
                    Kind::Text => Part::text(""),
                    Kind::Reasoning { redacted, id } => Part::Reasoning(Reasoning {
                        redacted: *redacted,
                        id: id.clone(),
                        ..Reasoning::default()
                    }),
                    Kind::Call { id, name, kind, namespace, signature } => Part::Call(Call {
                        id: id.clone(),
                        name: name.clone(),
                        namespace: namespace.clone(),
                        arguments: String::new(),
                        kind: *kind,
                        signature: signature.clone(),
                    }),
                    Kind::Refusal => Part::Refusal(String::new()),
                    Kind::Image { media_type } => Part::Image(Media {
                        source: Source::Base64(String::new()),
                        media_type: media_type.clone(),
                        detail: None,
                    }),
                    Kind::Audio => Part::Audio(Media {
                        source: Source::Base64(String::new()),
                        media_type: String::new(),
                        detail: None,
                    }),
                };
                self.choice(*choice).parts.push(part);
            }
            Event::Delta { choice, part, delta } => self.delta(*choice, *part, delta),
            Event::Close { .. } | Event::End => {}
            Event::Finish { choice, reason } => {
                self.choice(*choice).finish = Some(reason.clone());
            }
            Event::Usage(usage) => self.reply.usage = Some(*usage),
            Event::Error(failure) => self.failure = Some((**failure).clone()),
        }
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let index = index as usize;
        if self.reply.choices.len() <= index {
            self.reply.choices.resize_with(index + 1, Choice::default);
        }
        &mut self.reply.choices[index]
    }

    fn delta(&mut self, choice: u32, part: u32, delta: &Delta) {
        let choice = self.choice(choice);
        if let Delta::Logprobs(tokens) = delta {
            choice.logprobs.extend_from_slice(tokens);
            return;
        }
        if let Delta::Audio(members) = delta {
            add_audio(choice.audio.get_or_insert_with(Json::empty), members);
            return;
        }
        let Some(part) = choice.parts.get_mut(part as usize) else { return };
        match (part, delta) {
            (Part::Text { text, .. } | Part::Refusal(text), Delta::Text(more)) => {
                text.push_str(more);
            }
            (Part::Reasoning(reasoning), Delta::Text(more)) => reasoning.text.push_str(more),
            (Part::Call(call), Delta::Text(more)) => call.arguments.push_str(more),
            (Part::Text { citations, .. }, Delta::Citation(citation)) => {
                citations.push(citation.clone());
            }
            (Part::Text { signature, .. }, Delta::Signature(proof)) => {
                *signature = Some(proof.clone());
            }
            (Part::Reasoning(reasoning), Delta::Signature(proof)) => match &mut reasoning.signature
            {
                Some(known) if known.origin == proof.origin => known.data.push_str(&proof.data),
                known => *known = Some(proof.clone()),
            },
            (Part::Image(media) | Part::Audio(media), Delta::Data(more)) => {
                if let Source::Base64(data) = &mut media.source {
                    data.push_str(more);
                }
            }
            _ => {}
        }
    }
}

/// Adds the members of an `audio` delta: data and transcript grow, the others are told once.
fn add_audio(audio: &mut Json, members: &Json) {
    for (name, value) in members.members() {
        let known = audio.get(name).text().to_owned();
        match value {
            Json::String(more) if matches!(name.as_str(), "data" | "transcript") => {
                audio.set(name, known + more);
            }
            value => audio.set(name, value),
        }
    }
}
